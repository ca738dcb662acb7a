import { expect, it } from 'vitest'
import { judgeSchedule } from '../../src/read/judgeSchedule.ts'

const at = (time: string) => new Date(`2026-11-24T${time}Z`)
const state = { cron: '0 * * * *', timeZone: 'UTC', cursor: at('09:00:00'), isPaused: false }

it('is late once the tick after the cursor is overdue by more than the grace, and by how much', () => {
  const next = at('10:00:00')
  expect(judgeSchedule(state, 60_000, at('09:59:59'))).toEqual({ next, lateMs: null })
  expect(judgeSchedule(state, 60_000, at('10:01:00'))).toEqual({ next, lateMs: null })
  expect(judgeSchedule(state, 60_000, at('10:01:01'))).toEqual({ next, lateMs: 61_000 })
  expect(judgeSchedule(state, 3_600_000, at('10:01:01'))).toEqual({ next, lateMs: null })
})

it('counts from the first tick that nobody has decided, not from the last that was due', () => {
  expect(judgeSchedule(state, 60_000, at('13:30:00'))).toMatchObject({ lateMs: 3.5 * 3_600_000 })
})

it('is never late while it is paused, or before a worker has started with it', () => {
  const now = at('23:00:00')
  expect(judgeSchedule({ ...state, isPaused: true }, 60_000, now)).toEqual({
    next: null,
    lateMs: null,
  })
  expect(judgeSchedule({ ...state, cursor: null }, 60_000, at('22:30:00'))).toEqual({
    next: now,
    lateMs: null,
  })
})
