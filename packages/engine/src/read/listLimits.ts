import { checkJobName, checkParts, checkText, optional, wholeNumber } from '../job/argument.ts'
import type { Job } from '../job/defineJob.ts'
import { hasNotEnded } from '../store/heldRuns.ts'
import { boundedText } from './bounded.ts'
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
  /** The job whose own it is, or the name of a shared limit. */
  name: string
  /** The jobs that share it; null: it is a job's own. */
  jobs: string[] | null
  /** Runs at once, as the code says and as somebody has set instead; null: any number. */
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
  /** How many runs are under way, and who holds the slots: the first started first, 20 at most. */
  running: number
  runs: SlotHolder[]
  /** Nothing starts before then, since a service has refused more. */
  parkedUntil: string | null
  parkReason: string | null
}

const MAX_HOLDERS = 20
const MAX_LIMITS = 1_000
/** Of so many pieces the keys are counted, whatever more wait. */
const MAX_KEYED_COUNTED = 100_000

/** The runs under way of claims under limits, as `held`. */
export const HELD_UNDER_LIMITS = `
  select held."id", held."key", claim."name", claim."limits", claim."workerId", claim."startedAt"
  from "JobClaim" claim cross join unnest(claim."runIds", claim."keys") held("id", "key")
  where claim."limits" is not null and ${hasNotEnded('held."id"')}`

/** As an instant that JSON and JavaScript hold. */
export const jsonInstant = (sql: string) => `least(greatest(${sql}, '0001-01-01Z'), '9999-12-31Z')`

const LIST_LIMITS_SQL = `
  with held as materialized (${HELD_UNDER_LIMITS})
  select substring(one."name" from '[^:]*$') as "name", one."jobs", one."global", one."setGlobal", ${boundedText('one."setBy"')} as "setBy",
         ${boundedText('one."setReason"')} as "setReason", one."setAt", one."perKey", one."order", one."rateLimit",
         one."ratePerMs"::float8 as "ratePerMs", one."rateBy", runs."count" as "running", coalesce(runs."list", '[]') as "runs",
         park."until" as "parkedUntil", ${boundedText('park."reason"')} as "parkReason"
  from "JobLimit" one
    left join "JobPark" park on park."name" = one."name" and park."key" = '' and park."until" > now()
    cross join lateral (
      select count(*)::int as "count", jsonb_agg(jsonb_build_object('runId', "id", 'name', "name", 'key', nullif("key", ''),
          'workerId', ${boundedText('"workerId"')}, 'startedAt', ${jsonInstant('"startedAt"')}) order by "startedAt", "id")
        filter (where nth <= ${MAX_HOLDERS}) as "list"
      from (
        select held.*, row_number() over (order by held."startedAt", held."id") as nth from held where one."name" = any(held."limits")
      ) held
    ) runs
  where one."global" is not null or one."setGlobal" is not null or one."order" is not null or one."rateLimit" is not null
  order by one."jobs" is null, 1 limit ${MAX_LIMITS}`

/** Lists the limits that workers have registered or people have set, those that jobs share first. */
export async function listLimits(reader: JobsReader): Promise<ListedLimit[]> {
  const rows = await reader.rows<ListedLimit>({ text: LIST_LIMITS_SQL })
  return rows.map((row) => ({ ...row, runs: row.runs.map(toHolder) }))
}

const toHolder = (run: SlotHolder): SlotHolder => ({
  ...run,
  startedAt: new Date(run.startedAt).toISOString(),
})

/** One key of a job. */
export interface ListedKey {
  /** Empty: work without a key. */
  key: string
  waiting: number
  /** How many of these are for later. */
  delayed: number
  running: number
  deadLetters: number
  /** When the first of what waits was enqueued; null where nothing does. Instants are ISO 8601 in UTC. */
  oldestAt: string | null
  /** What somebody has set: null where nobody has. */
  perKey: number | null
  weight: number
  /** Year 9999: until somebody resumes it. */
  pausedUntil: string | null
  pausedBy: string | null
  reason: string | null
  /** Nothing of it starts before then, since a service has refused more. */
  parkedUntil: string | null
  parkReason: string | null
}

export interface KeyQuery {
  /** Default: all keys. */
  key?: string | undefined
  /** Default 50, at most 200. */
  limit?: number | undefined
}

export interface KeyPage {
  keys: ListedKey[]
  /** How many keys there are, of what was counted. */
  total: number
  /** How many pieces were counted, and whether more wait: the counts are then at least so many. */
  counted: number
  isCut: boolean
}

const QUERY = { key: optional(checkText), limit: optional(wholeNumber(1, 200)) }

const LIST_KEYS_SQL = `
  with looked as materialized (
    select work."key", work."enqueuedAt", work."place" is null and work."dueAt" > now() as "isLater"
    from "JobWork" work where work."name" = $1 and work."key" is not null and ($2::text is null or work."key" = $2)
    limit ${MAX_KEYED_COUNTED + 1}
  ), waiting as materialized (
    select "key", count(*)::int as "waiting", (count(*) filter (where "isLater"))::int as "delayed", min("enqueuedAt") as "oldestAt"
    from looked group by 1
  ), held as materialized (
    select held."key", count(*)::int as "running" from "JobClaim" claim cross join unnest(claim."runIds", claim."keys") held("id", "key")
    where claim."name" = $1 and held."key" is not null and ${hasNotEnded('held."id"')} group by 1
  ), letters as materialized (
    select "key", count(*)::int as "deadLetters" from (
      select letter."key" from "JobDeadLetter" letter
      where letter."name" = $1 and letter."key" is not null and ($2::text is null or letter."key" = $2) limit ${MAX_KEYED_COUNTED}
    ) letter group by 1
  ), parked as materialized (
    select "key", "until", "reason" from "JobPark" where "name" = 'job:' || $1 and "key" <> '' and "until" > now()
  ), named as materialized (
    select "key" from waiting union select "key" from held union select "key" from letters union select "key" from parked
    union select "key" from "JobKey" where "name" = $1
  )
  select named."key", coalesce(waiting."waiting", 0) as "waiting", coalesce(waiting."delayed", 0) as "delayed",
         coalesce(held."running", 0) as "running", coalesce(letters."deadLetters", 0) as "deadLetters", waiting."oldestAt",
         own."perKey", coalesce(own."weight", 1) as "weight",
         case when own."pausedUntil" > now() then own."pausedUntil" end as "pausedUntil",
         case when own."pausedUntil" > now() then ${boundedText('own."pausedBy"')} end as "pausedBy", ${boundedText('own."reason"')} as "reason",
         parked."until" as "parkedUntil", ${boundedText('parked."reason"')} as "parkReason",
         (count(*) over ())::int as "total", (select count(*)::int from looked) as "counted"
  from named left join waiting using ("key") left join held using ("key") left join letters using ("key") left join parked using ("key")
    left join "JobKey" own on own."name" = $1 and own."key" = named."key"
  where $2::text is null or named."key" = $2
  order by "waiting" desc, "running" desc, named."key" limit $3::int`

/** Lists the keys of a job that have work, or of which somebody has said something: those with most that waits first. */
export async function listKeys(
  reader: JobsReader,
  job: Pick<Job, 'name'>,
  query: KeyQuery = {},
): Promise<KeyPage> {
  const name = checkJobName('job', job)
  const { key, limit = 50 } = checkParts('query', query, QUERY)
  const rows = await reader.rows<ListedKey & { total: number; counted: number }>({
    text: LIST_KEYS_SQL,
    values: [name, key ?? null, limit],
  })
  const { total = 0, counted = 0 } = rows[0] ?? {}
  const keys = rows.map(({ total: _total, counted: _counted, ...row }) => row)
  const isCut = counted > MAX_KEYED_COUNTED
  return { keys, total, counted: Math.min(counted, MAX_KEYED_COUNTED), isCut }
}
