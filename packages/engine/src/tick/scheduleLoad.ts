import { JobError } from '../job/jobError.ts'
import type { Connection } from '../database/database.ts'

/** The number of keyed schedules, and of their ticks on a day on which each is due. */
export interface ScheduleLoad {
  entries: number
  perDay: number
}

/** Keeps the keyed schedules of a database within the number that its workers can decide. */
export interface LoadLimit {
  /** Returns the reason why the addition would exceed the limit. Null if it does not, and then it counts. */
  add(tx: Connection, added: ScheduleLoad): Promise<JobError | null>
}

const MAX_LOAD: ScheduleLoad = { entries: 1_000_000, perDay: 500 * 86_400 }
const COUNT_AGAIN_MS = 60_000

/**
 * An exact sum would need one row, and all changes would wait for its lock. So each client counts for itself, once a minute,
 * and adds its own changes since. Several clients that add at once may exceed the limit by the others' additions of that
 * minute. Schedules that were deleted or rolled back count for up to a minute longer.
 */
export function createLoadLimit(max = MAX_LOAD, nowMs = () => performance.now()): LoadLimit {
  let countedAtMs = -Infinity
  let known: ScheduleLoad = { entries: 0, perDay: 0 }
  return {
    async add(tx, added) {
      const isMore = added.entries > 0 || added.perDay > 0
      if (isMore && nowMs() - countedAtMs >= COUNT_AGAIN_MS) {
        const { rows } = await tx.query<ScheduleLoad & { [column: string]: unknown }>(COUNT_SQL, [
          max.entries + 1,
        ])
        known = rows[0] ?? known
        countedAtMs = nowMs()
      }
      const entries = known.entries + added.entries
      const perDay = known.perDay + added.perDay
      if (added.entries > 0 && entries > max.entries) {
        const problem = `There would be ${tell(entries)} keyed schedules in this database, and ${tell(max.entries)} is the most`
        return tooMany(`${problem}: delete those that nobody needs`, { entries })
      }
      if (added.perDay > 0 && perDay > max.perDay) {
        const [would, most] = [perDay, max.perDay].map((one) => tell(Math.ceil(one / 86_400)))
        const problem = `All keyed schedules of this database would have ${would} ticks a second, and ${most} is the most`
        return tooMany(`${problem}: let them be due less often`, { ticksPerDay: perDay })
      }
      known = { entries, perDay }
      return null
    },
  }
}

const tell = (count: number) => count.toLocaleString('en')

function tooMany(message: string, details: Record<string, number>): JobError {
  return new JobError('too_many_schedules', message, { retryable: false, details })
}

/** Schedules that a change is about to create have no version yet. */
const COUNT_SQL = `
  select count(*)::int as "entries", coalesce(sum("perDay") filter (where "nextAt" is not null), 0)::float8 as "perDay"
  from (select "perDay", "nextAt" from "JobSchedule" where "version" > 0 and "key" <> '' limit $1::int) one`

/** The number of instants on a day that has any. A clock change does not count. */
export function ticksOfDay(cron: string): number {
  const fields = cron.trim().toLowerCase().split(/\s+/)
  if (fields.length === 1) return fields[0] === '@hourly' ? 24 : 1
  const [hours = '', minutes = '', seconds = '0'] = fields.slice(0, -3).toReversed()
  return countOf(hours, 24) * countOf(minutes, 60) * countOf(seconds, 60)
}

// The field consists of values, ranges and `*`; ranges and `*` may have a step.
function countOf(field: string, size: number): number {
  const values = new Set<number>()
  for (const part of field.split(',')) {
    const [range = '', step = '1'] = part.split('/')
    const [first = 0, last = first] = /^[*?]$/.test(range)
      ? [0, size - 1]
      : range.split('-').map(Number)
    for (let at = first; at <= last; at += Number(step)) values.add(at)
  }
  return values.size
}
