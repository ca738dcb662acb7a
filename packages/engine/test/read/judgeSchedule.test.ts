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

it('is late by the definition whose undecided tick is the oldest, since the row was last changed', () => {
  const others = ['30 * * * *', '20 * * * *', '50 * * * *'].map((cron) => ({
    cron,
    timeZone: 'UTC',
  }))
  const disputed = { ...state, others, updatedAt: at('09:25:00') }
  expect(judgeSchedule(disputed, 60_000, at('09:31:00'))).toMatchObject({ lateMs: null })
  const late = { next: at('09:30:00'), lateMs: 61 * 60_000 }
  expect(judgeSchedule(disputed, 60_000, at('10:31:00'))).toEqual(late)
  // What the ledger has passed counts no more, and an expression of another version may be none to this one.
  const passed = { ...disputed, cursor: at('10:00:00'), others: [{ cron: '?', timeZone: 'UTC' }] }
  expect(judgeSchedule(passed, 60_000, at('10:31:00'))).toMatchObject({ lateMs: null })
})
