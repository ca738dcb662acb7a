import { nextTick } from '../index.ts'

export interface ScheduleState {
  cron: string
  timeZone: string
  /** The ledger reaches so far; null when no worker has started with the schedule yet. */
  cursor: Date | null
  isPaused: boolean
}

export interface ScheduleVerdict {
  /** The first tick that nobody has decided, be it due or not. Null while paused, and when none comes any more. */
  next: Date | null
  /** How long that tick is overdue, when it is for longer than the job's grace; else null. */
  lateMs: number | null
}

/**
 * Whether a schedule is late: a tick is due, and no worker has decided what becomes of it, which they do every
 * second. A paused one never is, since its ticks are to be skipped, and neither is one that nobody follows yet.
 */
export function judgeSchedule(state: ScheduleState, graceMs: number, now: Date): ScheduleVerdict {
  if (state.isPaused) return { next: null, lateMs: null }
  const next = nextTick(state, state.cursor ?? now)
  const overdueMs = next === null ? 0 : now.getTime() - next.getTime()
  return { next, lateMs: overdueMs > graceMs ? overdueMs : null }
}
