import { boundedText } from '../read/bounded.ts'
import { STARTED_AT } from '../read/countRuns.ts'
import { versionOf } from '../read/listWorkers.ts'
import type { JobsReader } from '../read/reader.ts'
import { equalsInOrder } from '../database/equalsInOrder.ts'
import { spanSince } from './words.ts'

/** The first run with the problem. */
export interface FirstRun {
  runId: string
  /** Its start, as ISO 8601 in UTC. */
  at: string
  /** The version of the product that ran it. Null if unknown. */
  version: string | null
  /** Earlier runs of the job with this version while it was new. Null without a version, and from 20 on. */
  runsBefore: number | null
}

/** Maximum of failures, and of runs of one version, to read. */
const MAX_LOOKED = 5_000
const MAX_BEFORE = 1_000
/** A version with this many runs is not new, and not the cause. */
const NOT_NEW = 20

const FIRST_RUNS_SQL = `
  with first as materialized (
    select run.*, ${versionOf('run."workerId"')} as "version" from unnest($1::text[], $2::text[]) job(name, code) cross join lateral (
      select * from (
        select *, lag(at) over (order by at, "id") as "before", count(*) over () as "read" from (
          select "id", "name", "startedAt", "workerId", ${STARTED_AT} as at from "JobRun"
          where ${equalsInOrder('"name"', 'job.name')} and "errorCode" is not null and "errorCode" = job.code and not "dryRun"
          order by "name", "startedAt" desc, "id" desc limit ${MAX_LOOKED}
        ) latest
      ) failed
      where "before" is null and "read" < ${MAX_LOOKED} or "before" < at - interval '1 hour' and exists (
        select from (
          select "status" from "JobRun" between_them
          where ${equalsInOrder('"name"', 'job.name')} and "startedAt" > failed."before" and "startedAt" < failed.at
          order by "name", "startedAt" desc, "id" desc limit ${MAX_BEFORE}
        ) between_them where "status" = 'success'
      )
      order by at desc, "id" desc limit 1
    ) run
  ), worker as materialized (
    select * from (
      select "id", "version", "startedAt" from "JobWorker" union select "id", "version", "startedAt" from "JobFormerWorker"
    ) any_worker where "version" in (select "version" from first)
  )
  select first."id" as "runId", first."name", first.at, ${boundedText('first."version"')} as "version",
         case when first."version" is not null and before."count" < ${NOT_NEW} then before."count" end as "runsBefore"
  from first cross join lateral (
    select case when count(*) < ${MAX_BEFORE} then (count(*) filter (
             where "workerId" in (select worker."id" from worker where worker."version" = first."version")
           ))::int end as "count"
    from (
      select "workerId" from "JobRunAll" earlier
      where ${equalsInOrder('"name"', 'first."name"')}
        and "startedAt" >= (select min(worker."startedAt") from worker where worker."version" = first."version")
        and "startedAt" <= first."startedAt" and (first."startedAt", first."id") > (earlier."startedAt", earlier."id")
      order by "name", "startedAt" desc, "id" desc limit ${MAX_BEFORE}
    ) latest
  ) before`

/**
 * Finds the first failure of each job with this code after an hour without such a failure and with a success. A job is missing
 * if that is too long ago.
 */
export async function findFirstRuns(
  reader: JobsReader,
  failing: readonly { name: string; code: string }[],
): Promise<Map<string, FirstRun>> {
  if (failing.length === 0) return new Map()
  const rows = await reader.rows<FirstRun & { name: string }>({
    text: FIRST_RUNS_SQL,
    values: [failing.map(({ name }) => name), failing.map(({ code }) => code)],
  })
  return new Map(rows.map(({ name, ...first }) => [name, first]))
}

/** Formats ` It began 23 min ago, with the first run of version 0.2.1.` */
export function sayFirstRun(first: FirstRun | undefined, now: Date): string {
  if (first === undefined) return ''
  const began = ` It began ${spanSince(first.at, now)} ago`
  if (first.version === null) return `${began}.`
  if (first.runsBefore === 0) return `${began}, with the first run of version ${first.version}.`
  return `${began}, on version ${first.version}.`
}
