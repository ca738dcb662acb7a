import { expect, it } from 'vitest'
import { overrunLimitMs, slowLimitMs } from '../../src/read/judgeRun.ts'

it('overruns beyond its time-out and its grace', () => {
  expect(overrunLimitMs({ timeoutMs: 900_000 })).toBe(960_000)
})

it.each([
  ['half of its time-out, while nobody knows what is usual', null, 450_000],
  ['twice what is usual', 100_000, 200_000],
  ['a minute at least', 10, 60_000],
  ['half of its time-out, where twice the usual would be more', 400_000, 450_000],
])('is slow beyond %s', (_, usualMs, limitMs) => {
  expect(slowLimitMs({ timeoutMs: 900_000 }, usualMs)).toBe(limitMs)
})
