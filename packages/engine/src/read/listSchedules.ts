import { tickAfter } from '../tick/nextTicks.ts'
import { checkNames } from '../arguments/queries.ts'
import { isAliveSql } from '../liveness/whoIsLost.ts'
import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** A schedule as its row in the database has it. Instants are ISO 8601 in UTC. */
export interface ScheduleRow {
  name: string
  cron: string
  timeZone: string
  /** The last tick that was decided. */
  cursor: string
  pausedAt: string | null
  pausedBy: string | null
  pauseReason: string | null
  /** When it was registered or changed, or people last paused or resumed it. */
  updatedAt: string
  /** What living workers define instead, and when the first of those started. */
  others: { cron: string; timeZone: string; since: string }[]
}

/**
 * Reads schedules, keyed by job name. A schedule that no worker has started with is missing, and so is one whose expression or
 * zone this version cannot read: a newer one has written it, or somebody by hand.
 */
export async function listSchedules(
  reader: JobsReader,
  names: readonly string[],
): Promise<Map<string, ScheduleRow>> {
  const wanted = checkNames(reader, names)
  const rows = await reader.rows<ScheduleRow>({
    text: `
      with living as materialized (
        select "schedules", "startedAt" from "JobWorker" worker
        where jsonb_typeof("schedules") = 'object' and ${isAliveSql('worker."id"')}
      )
      select "name", "cron", "timeZone", "cursor", "updatedAt", "pausedAt", ${boundedText('"pausedBy"')} as "pausedBy",
             ${boundedText('"pauseReason"')} as "pauseReason", (
               select coalesce(jsonb_agg(jsonb_build_object('cron', own ->> 0, 'timeZone', own ->> 1, 'since', since)), '[]')
               from (
                 select own, min("startedAt") as since
                 from living cross join lateral (select "schedules" -> "name" as own) defined
                 where own <> jsonb_build_array("cron", "timeZone") group by own
               ) other
             ) as "others"
      from "JobSchedule" where "name" = any($1::text[])`,
    values: [wanted],
  })
  return new Map(rows.filter(isReadable).map((row) => [row.name, row]))
}

function isReadable(row: ScheduleRow): boolean {
  try {
    tickAfter(row, new Date(row.cursor))
    return true
  } catch {
    return false
  }
}

/** A schedule that a worker of another version has changed. */
export interface RescheduledJob {
  name: string
  /** When it was changed, as ISO 8601 in UTC. */
  since: string
  /** The version that changed it, or its worker where that names none. */
  by: string
  /** Such as `0 8 * * * in UTC, before: 0 7 * * * in UTC`. */
  change: string
}

/** Of a job about which people do more at once than this, a change may not be found. */
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
      where schedule."name" = any($1::text[]) and schedule."updatedAt" >= $2::timestamptz
      order by change."at" desc, schedule."name"`,
    values: [names, since.toISOString()],
  })
}
