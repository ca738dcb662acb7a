// Processes: runs workers that what they carry out may end.
import { createTestDatabase } from '@roundsman/testing'
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { CELLS, SHORT_FORM as SHORT_CELLS } from '../../src/hostile/matrixCells.ts'
import { renderHostile } from '../../src/hostile/renderHostile.ts'
import { runHostile } from '../../src/hostile/runHostile.ts'
import { runMatrix } from '../../src/hostile/runMatrix.ts'
import { runSchedules } from '../../src/hostile/runSchedules.ts'

const SHORT_FORM = { seed: 1, outcomes: 300, deadly: 0 }

describe('what is drawn, in its short form', () => {
  it('harms nothing but itself', async () => {
    const database = await createTestDatabase({ migrated: false })
    onTestFinished(() => database.drop())
    const events: string[] = []
    const result = await runHostile(SHORT_FORM, {
      databaseUrl: database.url,
      signal: new AbortController().signal,
      onProgress: (message) => events.push(message),
      onEvent: (event) => events.push(event.slice(0, 500)),
    })

    const failed = result.checks.filter(({ isPassed }) => !isPassed)
    expect(failed, events.slice(-100).join('\n')).toEqual([])
    expect(renderHostile([result], [], [], null)).toContain(
      'pnpm hostile --seed 1 --outcomes 300 --deadly 0',
    )
  }, 300_000)
})

describe('hosts and roles, a handful', () => {
  it('hold', async () => {
    const cells = CELLS.filter(({ name }) => (SHORT_CELLS as readonly string[]).includes(name))
    expect(cells).toHaveLength(SHORT_CELLS.length)
    const results = await runMatrix(cells, {
      adminUrl: inject('testServer').adminUrl,
      signal: new AbortController().signal,
      onCell: () => undefined,
    })

    expect(results.filter(({ problem }) => problem !== null)).toEqual([])
  }, 300_000)
})

describe('workers that define schedules differently and come and go, a few', () => {
  it('leave no due tick undecided', async () => {
    const { signal } = new AbortController()
    const { adminUrl } = inject('testServer')
    const result = await runSchedules({ seed: 1, steps: 10 }, { adminUrl, signal })
    expect(result).toMatchObject({ problems: [] })
    expect(result.ticks).toBeGreaterThan(result.started)
  }, 300_000)
})
