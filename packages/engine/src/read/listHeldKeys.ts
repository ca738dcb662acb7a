import { isReplacedSql } from '../store/uniqueKeys.ts'
import { equalsInOrder } from '../store/equalsInOrder.ts'
import { LATER } from '../store/waitingSql.ts'
import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** Work that holds a unique key for far longer than work of its job usually waits: whatever is enqueued with the key is left out. */
export interface HeldKey {
  name: string
  workId: string
  label: string | null
  uniqueKey: string
  /** Until then it waits, which is furthest of the job's. Since when it holds the key: both as ISO 8601 in UTC. */
  until: string
  since: string
  /** Whether somebody has postponed it. Who did, or else who has enqueued it; null where nobody says. */
  isPostponed: boolean
  by: string | null
  /** How many pieces of the job do so: below 100, or that is how the job is used. */
  count: number
}

/** Nobody minds less. */
const FAR = '7 days'
/** Of the pieces of a job that are due last. */
const MAX_LOOKED = 100
/** This many times as long as its last runs have waited. With fewer of these nobody knows what is usual. */
const FAR_TO_USUAL = 10
const MAX_RUNS = 100
const MIN_RUNS = 5

/** When a piece of work was enqueued, by its id of version 7 (RFC 9562). */
const ENQUEUED_AT = `to_timestamp(('x' || left(translate("workId"::text, '-', ''), 12))::bit(48)::bigint / 1000.0)`

/** Lists the jobs with such work, what waits for longest first. */
export async function listHeldKeys(
  reader: JobsReader,
  names: readonly string[],
): Promise<HeldKey[]> {
  return await reader.rows<HeldKey>({
    text: `
      with far as materialized (
        select work.* from unnest($1::text[]) job(name) cross join lateral (
          select * from "JobWork" work
          where work."name" = job.name and ${LATER} and work."dueAt" > now() + interval '${FAR}' and work."dueAt" < 'infinity'
          order by work."name" desc, work."dueAt" desc, work."id" desc limit ${MAX_LOOKED}
        ) work
      ), usual as materialized (
        select job."name", run."longest" from (select distinct "name" from far where "uniqueKey" is not null) job
        cross join lateral (
          select greatest(max(run."startedAt" - ${ENQUEUED_AT}), interval '0') as "longest" from (
            select "startedAt", "workId", "attempt" from "JobRun"
            where ${equalsInOrder('"name"', 'job."name"')}
            order by "name", "startedAt" desc, "id" desc limit ${MAX_RUNS}
          ) run where "attempt" = 1 and substr("workId"::text, 15, 1) = '7' and isfinite("startedAt")
          having count(*) >= ${MIN_RUNS}
        ) run
      ), held as materialized (
        select far.* from far join usual using ("name")
        where far."uniqueKey" is not null and not ${isReplacedSql('far', 'id')}
          and far."dueAt" - far."enqueuedAt" > greatest(interval '${FAR}', ${FAR_TO_USUAL} * usual."longest")
      )
      select first."name", first."id" as "workId", ${boundedText('first."label"')} as "label", ${boundedText('first."uniqueKey"')} as "uniqueKey",
             first."dueAt" as "until", first."enqueuedAt" as "since", act."actor" is not null as "isPostponed",
             ${boundedText(`coalesce(act."actor", first."facts" ->> 'enqueuedBy', first."facts" ->> 'actor')`)} as "by",
             first."count"
      from (
        select distinct on ("name") *, (count(*) over (partition by "name"))::int as "count" from held order by "name", "dueAt" desc, "id"
      ) first
      left join lateral (
        select "actor" from "JobAction"
        where ("workId" = first."id" or "pieces" @> array[first."id"]) and "action" = 'postponeWork' order by "at" desc limit 1
      ) act on true
      where first."count" < ${MAX_LOOKED}
      order by first."dueAt" desc, first."name" limit 20`,
    values: [names],
  })
}
