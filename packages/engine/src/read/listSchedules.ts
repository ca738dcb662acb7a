import { tickAfter } from '../tick/nextTicks.ts'
import { checkNames } from '../arguments/queries.ts'
import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** Time that a due tick may stay undecided, and a run may exceed its time-out: a worker's restart takes no longer. */
export const GRACE_MS = 60_000

/** A schedule as its row in the database defines it. Instants are ISO 8601 in UTC. */
export interface ScheduleRow {
  name: string
  cron: string
  timeZone: string
  /** The last decided tick. */
  cursor: string
  pausedAt: string | null
  pausedBy: string | null
  pauseReason: string | null
  /** The next tick to decide, due or not. */
  nextAt: string | null
  /** When a worker last wrote its definition. */
  updatedAt: string
}

/**
 * Reads the schedules of jobs' definitions, keyed by job name. It leaves out schedules that no worker has written yet, and
 * those with an expression or zone that this version cannot read: a later version or a person has written them.
 */
export async function listSchedules(
  reader: JobsReader,
  names: readonly string[],
): Promise<Map<string, ScheduleRow>> {
  const wanted = checkNames(reader, names)
  const rows = await reader.rows<ScheduleRow>({
    text: `
      select "name", "cron", "timeZone", "cursor", "nextAt", "updatedAt", "pausedAt", ${boundedText('"pausedBy"')} as "pausedBy",
             ${boundedText('"pauseReason"')} as "pauseReason"
      from "JobSchedule" where "name" = any($1::text[]) and "key" = '' and "retiredAt" is null`,
    values: [wanted],
  })
  return new Map(rows.flatMap(readRow).map((row) => [row.name, row]))
}

/** A row that a person has written may lack the next tick. */
function readRow(row: ScheduleRow): ScheduleRow[] {
  try {
    const next = tickAfter(row, new Date(row.cursor))
    return [{ ...row, nextAt: row.nextAt ?? next?.toISOString() ?? null }]
  } catch {
    return []
  }
}

export interface ScheduleVerdict {
  /** The first undecided tick, due or not. Null while paused, and if there are no more ticks. */
  next: Date | null
  /** Time since that tick was due, if that is longer than the grace; otherwise null. */
  lateMs: number | null
}

/** Determines whether a tick is due and undecided. A paused schedule is never late, since its ticks are skipped. */
export function judgeSchedule({ nextAt, pausedAt }: ScheduleRow, now: Date): ScheduleVerdict {
  if (pausedAt !== null || nextAt === null) return { next: null, lateMs: null }
  const next = new Date(nextAt)
  const lateMs = now.getTime() - next.getTime()
  return { next, lateMs: lateMs > GRACE_MS ? lateMs : null }
}

/** A schedule that a worker of another version has changed. */
export interface RescheduledJob {
  name: string
  /** When it was changed, as ISO 8601 in UTC. */
  since: string
  /** The version that changed it, or its worker if that has no version. */
  by: string
  /** For example `0 8 * * * in UTC, before: 0 7 * * * in UTC`. */
  change: string
}

/** Maximum of a job's actions to search for a change. */
const MAX_ACTIONS = 1_000

/** Lists the schedules that were changed since an instant, each with its last change. */
export async function listRescheduled(
  reader: JobsReader,
  names: readonly string[],
  since: Date,
): Promise<RescheduledJob[]> {
  return await reader.rows<RescheduledJob>({
    text: `
      select schedule."name", change."at" as "since", ${boundedText('change."actor"')} as "by",
             ${boundedText('change."reason"')} as "change"
      from "JobSchedule" schedule
      cross join lateral (
        select * from (
          select "at", "action", "actor", "reason" from "JobAction"
          where "name" = schedule."name" and "at" >= $2::timestamptz and "scheduleKey" is null order by "at" desc limit ${MAX_ACTIONS}
        ) latest where "action" = 'reschedule' order by "at" desc limit 1
      ) change
      where schedule."name" = any($1::text[]) and schedule."key" = '' and schedule."updatedAt" >= $2::timestamptz
      order by change."at" desc, schedule."name"`,
    values: [names, since.toISOString()],
  })
}
