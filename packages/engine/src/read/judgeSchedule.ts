import { nextTick } from '../index.ts'

export interface ScheduleState {
  cron: string
  timeZone: string
  /** The last tick that was decided; null when no worker has started with the schedule yet. */
  cursor: Date | null
  isPaused: boolean
}

export interface ScheduleVerdict {
  /** The first undecided tick, due or not. Null while paused, and when no more tick comes. */
  next: Date | null
  /** How long that tick is overdue, if that is longer than the job's grace; else null. */
  lateMs: number | null
}

/**
 * Judges whether a schedule is late: a tick is due and no worker has decided it, which workers do every second. A paused
 * schedule is never late, since its ticks are skipped, nor is one that no worker has started with.
 */
export function judgeSchedule(state: ScheduleState, graceMs: number, now: Date): ScheduleVerdict {
  if (state.isPaused) return { next: null, lateMs: null }
  const next = nextTick(state, state.cursor ?? now)
  const overdueMs = next === null ? 0 : now.getTime() - next.getTime()
  return { next, lateMs: overdueMs > graceMs ? overdueMs : null }
}
