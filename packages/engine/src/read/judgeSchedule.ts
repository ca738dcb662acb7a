import { nextTick, type Schedule } from '../index.ts'

type Definition = Pick<Schedule, 'cron' | 'timeZone'>

export interface ScheduleState extends Definition {
  /** The last tick that was decided; null when no worker has started with the schedule yet. */
  cursor: Date | null
  isPaused: boolean
  /**
   * How else the job is defined, by the catalogue of whoever asks or by living workers: those ticks nobody decides. Default:
   * not at all.
   */
  others?: readonly Definition[]
  /** Since when the other definitions are not in force. Default: since the cursor. */
  updatedAt?: Date
}

export interface ScheduleVerdict {
  /** The first undecided tick, due or not. Null while paused, and when no more tick comes. */
  next: Date | null
  /** How long that tick is overdue, if that is longer than the job's grace; else null. */
  lateMs: number | null
}

/**
 * Judges whether a schedule is late: a tick is due and no worker has decided it, which workers do every second. A paused
 * schedule is never late, since its ticks are skipped, nor is one that no worker has started with. Where definitions differ,
 * all of them count, so that everybody who looks says the same.
 */
export function judgeSchedule(state: ScheduleState, graceMs: number, now: Date): ScheduleVerdict {
  if (state.isPaused) return { next: null, lateMs: null }
  const { cursor, others = [], updatedAt } = state
  const next = nextTick(state, cursor ?? now)
  const since = new Date(Math.max(Number(cursor), Number(updatedAt ?? 0)))
  const ofOthers = cursor === null ? [] : others.map((other) => readTick(other, since))
  const [first] = [next, ...ofOthers]
    .filter((tick) => tick !== null && now.getTime() - tick.getTime() > graceMs)
    .toSorted((one, other) => Number(one) - Number(other))
  return first ? { next: first, lateMs: now.getTime() - first.getTime() } : { next, lateMs: null }
}

/** Null also where another version's expression is none to this one. */
function readTick(definition: Definition, after: Date): Date | null {
  try {
    return nextTick(definition, after)
  } catch {
    return null
  }
}
