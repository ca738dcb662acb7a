import { hasNotEnded } from '../queue/heldRuns.ts'
import { boundedText, jsonInstant } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** A run that holds a slot. */
export interface SlotHolder {
  runId: string
  name: string
  key: string | null
  workerId: string
  /** ISO 8601 in UTC. */
  startedAt: string
}

/** A limit over all workers: of one job, or shared. */
export interface ListedLimit {
  /** The job that has the limit, or the name of a shared limit. */
  name: string
  /** The jobs that share it; null: it is a job's own. */
  jobs: string[] | null
  /** Runs at once, as the code says, and (`setGlobal`) as somebody has set instead; null: any number. */
  global: number | null
  setGlobal: number | null
  setBy: string | null
  setReason: string | null
  /** ISO 8601 in UTC. */
  setAt: string | null
  perKey: number | null
  order: string | null
  rateLimit: number | null
  ratePerMs: number | null
  rateBy: string | null
  /** How many runs are under way, and (`runs`) which: the first started first, 20 at most. */
  running: number
  runs: SlotHolder[]
  /** Nothing starts before then, since a service has refused more. */
  parkedUntil: string | null
  parkReason: string | null
}

export const MAX_HOLDERS = 20
const MAX_LIMITS = 1_000

/** The runs under way of claims under limits, as `held`. */
export const HELD_UNDER_LIMITS = `
  select held."id", held."key", claim."name", claim."limits", claim."workerId", claim."startedAt"
  from "JobClaim" claim cross join unnest(claim."runIds", claim."keys") held("id", "key")
  where claim."limits" is not null and ${hasNotEnded('held."id"')}`

const LIST_LIMITS_SQL = `
  with held as materialized (${HELD_UNDER_LIMITS})
  select substring(one."name" from '[^:]*$') as "name", one."jobs", one."global", one."setGlobal", ${boundedText('one."setBy"')} as "setBy",
         ${boundedText('one."setReason"')} as "setReason", one."setAt", one."perKey", one."order", one."rateLimit",
         one."ratePerMs"::float8 as "ratePerMs", one."rateBy", runs."count" as "running", coalesce(runs."list", '[]') as "runs",
         park."until" as "parkedUntil", ${boundedText('park."reason"')} as "parkReason"
  from "JobLimit" one
    left join lateral (
      select one."parkedUntil" as "until", one."parkReason" as "reason" where one."parkedUntil" > now()
    ) park on true
    cross join lateral (
      select count(*)::int as "count", jsonb_agg(jsonb_build_object('runId', "id", 'name', "name", 'key', nullif("key", ''),
          'workerId', ${boundedText('"workerId"')}, 'startedAt', ${jsonInstant('"startedAt"')}) order by "startedAt", "id")
        filter (where nth <= ${MAX_HOLDERS}) as "list"
      from (
        select held.*, row_number() over (order by held."startedAt", held."id") as nth from held where one."name" = any(held."limits")
      ) held
    ) runs
  where one."global" is not null or one."setGlobal" is not null or one."order" is not null or one."rateLimit" is not null
    or park."until" is not null
  order by one."jobs" is null, 1 limit ${MAX_LIMITS}`

/** Lists the limits that workers have registered or people have set, and jobs that wait for a service, those that jobs share first. */
export async function listLimits(reader: JobsReader): Promise<ListedLimit[]> {
  return await reader.rows<ListedLimit>({ text: LIST_LIMITS_SQL })
}
