import { expect, it } from 'vitest'
import { judgeSchedule } from '../../src/read/judgeSchedule.ts'

const at = (time: string) => new Date(`2026-11-24T${time}Z`)
const state = { cron: '0 * * * *', timeZone: 'UTC', cursor: at('09:00:00'), isPaused: false }

it('is late once the tick after the cursor is overdue by more than the grace, and by how much', () => {
  const next = at('10:00:00')
  expect(judgeSchedule(state, at('09:59:59'))).toEqual({ next, lateMs: null })
  expect(judgeSchedule(state, at('10:01:00'))).toEqual({ next, lateMs: null })
  expect(judgeSchedule(state, at('10:01:01'))).toEqual({ next, lateMs: 61_000 })
})

it('counts from the first tick that nobody has decided, not from the last that was due', () => {
  expect(judgeSchedule(state, at('13:30:00'))).toMatchObject({ lateMs: 3.5 * 3_600_000 })
})

it('is never late while it is paused, or before a worker has started with it', () => {
  const now = at('23:00:00')
  expect(judgeSchedule({ ...state, isPaused: true }, now)).toEqual({
    next: null,
    lateMs: null,
  })
  expect(judgeSchedule({ ...state, cursor: null }, at('22:30:00'))).toEqual({
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
  expect(judgeSchedule(disputed, at('09:31:00'))).toMatchObject({ lateMs: null })
  const late = { next: at('09:30:00'), lateMs: 61 * 60_000 }
  expect(judgeSchedule(disputed, at('10:31:00'))).toEqual(late)
  // What the ledger has passed counts no more, and an expression of another version may be none to this one.
  const passed = { ...disputed, cursor: at('10:00:00'), others: [{ cron: '?', timeZone: 'UTC' }] }
  expect(judgeSchedule(passed, at('10:31:00'))).toMatchObject({ lateMs: null })
})

it('is late by the definition of a worker that lives, though its own ticks go on, but not by ticks that both have', () => {
  const disputed = { ...state, updatedAt: at('08:10:00') }
  const isLateBy = (cron: string, since: Date, cursor = at('09:00:00')) => {
    const others = [{ cron, timeZone: 'UTC', since: since.toISOString() }]
    return judgeSchedule({ ...disputed, cursor, others }, at('09:40:00')).next
  }
  expect(isLateBy('30 * * * *', at('08:00:00'))).toEqual(at('08:30:00'))
  // Since that worker started, unless its clock is ahead.
  expect(isLateBy('30 * * * *', at('08:31:00'))).toEqual(at('09:30:00'))
  expect(isLateBy('30 * * * *', at('10:00:00'))).toEqual(at('08:30:00'))
  expect(isLateBy('0 * * * *', at('08:00:00'))).toEqual(at('10:00:00'))
  const own = { cron: '* * * * * *', others: [{ cron: '*/2 * * * * *', timeZone: 'UTC' }] }
  const often = { ...disputed, ...own, cursor: at('09:40:00') }
  expect(judgeSchedule(often, at('09:40:00'))).toMatchObject({ lateMs: null })
})
