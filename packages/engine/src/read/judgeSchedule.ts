import { tickAfter, nextTicks } from '../tick/nextTicks.ts'
import { GRACE_MS } from './judgeRun.ts'
import type { Schedule } from '../job/defineJob.ts'

type Definition = Pick<Schedule, 'cron' | 'timeZone'>

type OtherDefinition = Definition & { since?: string }

export interface ScheduleState extends Definition {
  /** The last tick that was decided; null when no worker has started with the schedule yet. */
  cursor: Date | null
  isPaused: boolean
  /**
   * How else the job is defined, by the catalogue of whoever asks or by living workers: those ticks nobody decides, but for
   * those that the schedule has too. `since` is when the first such worker started. Default: not at all.
   */
  others?: readonly OtherDefinition[]
  /** Since when the other definitions are not in force. Default: since the cursor. */
  updatedAt?: Date
}

export interface ScheduleVerdict {
  /** The first undecided tick, due or not. Null while paused, and when no more tick comes. */
  next: Date | null
  /** How long that tick is overdue, if that is longer than the grace; else null. */
  lateMs: number | null
}

/**
 * Judges whether a schedule is late: a tick is due and no worker has decided it, which workers do every second. A paused
 * schedule is never late, since its ticks are skipped, nor is one that no worker has started with. Where definitions differ,
 * all of them count, so that everybody who looks says the same.
 */
export function judgeSchedule(state: ScheduleState, now: Date): ScheduleVerdict {
  if (state.isPaused) return { next: null, lateMs: null }
  const { cursor, others = [] } = state
  const next = tickAfter(state, cursor ?? now)
  const ofOthers =
    cursor === null ? [] : others.map((other) => findLeftOut({ ...state, cursor }, other, now))
  const [first] = [next, ...ofOthers]
    .filter((tick) => tick !== null && now.getTime() - tick.getTime() > GRACE_MS)
    .toSorted((one, other) => Number(one) - Number(other))
  return first ? { next: first, lateMs: now.getTime() - first.getTime() } : { next, lateMs: null }
}

/** Of how many ticks of another definition it looks whether the schedule has them too. */
const MAX_SHARED = 100

/**
 * Finds the first tick of another definition that nobody decides, due or not. A living worker's count since that definition is
 * not in force, wherever the schedule's own ticks have moved the cursor. A catalogue's count from the cursor: since when it
 * has them is not known. Null also where another version's expression is none to this one.
 */
function findLeftOut(
  state: ScheduleState & { cursor: Date },
  other: OtherDefinition,
  now: Date,
): Date | null {
  const { cursor, updatedAt = cursor } = state
  const startedAt = new Date(other.since ?? cursor)
  // A start after now is that of a worker whose clock is ahead.
  const after = startedAt > updatedAt && startedAt <= now ? startedAt : updatedAt
  try {
    let looked = 0
    for (const tick of nextTicks(other, after)) {
      if (tick > cursor || !isTick(state, tick)) return tick
      if (++looked === MAX_SHARED) return tickAfter(other, cursor)
    }
    return null
  } catch {
    return null
  }
}

function isTick(definition: Definition, instant: Date): boolean {
  return tickAfter(definition, new Date(instant.getTime() - 1))?.getTime() === instant.getTime()
}
