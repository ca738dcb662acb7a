import { defineJob } from '@roundsman/engine'
import { expect, it } from 'vitest'
import { checkSweeps } from '../../src/check/checkProject.ts'

const sweep = defineJob({ name: 'sweepFloors' })

it('finds a handler that sweeps without its job being destructive, and the other way round', () => {
  const destructive = { ...sweep, isDestructive: true }
  const declared = [{ job: 'sweepFloors', rows: [] }]
  const found = (...[jobs, sweeps]: Parameters<typeof checkSweeps>) =>
    checkSweeps(jobs, sweeps).map(({ severity, code, job }) => `${severity} ${code} ${job}`)

  expect(found([sweep], [])).toEqual([])
  expect(found([destructive], declared)).toEqual([])
  expect(found([sweep], declared)).toEqual(['error sweep_not_destructive sweepFloors'])
  expect(found([destructive], [])).toEqual(['warning sweep_undeclared sweepFloors'])
})
