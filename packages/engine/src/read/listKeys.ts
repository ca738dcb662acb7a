import { checkKeyOf, checkKeyQuery, type KEY_SORTS } from '../arguments/queries.ts'
import type { Job } from '../job/defineJob.ts'
import { ownLimitOf } from '../job/limits.ts'
import { equalsInOrder } from '../database/equalsInOrder.ts'
import { hasNotEnded } from '../queue/heldRuns.ts'
import { IN_PLACE, IN_TIME, LATER, READY, SUSPECT } from '../queue/waitingSql.ts'
import { boundedText, jsonInstant } from './bounded.ts'
import { MAX_HOLDERS, type ListedLimit, type SlotHolder } from './listLimits.ts'
import type { JobsReader } from './reader.ts'

/** One key of a job. */
export interface ListedKey {
  /** Empty for work without a key. */
  key: string
  waiting: number
  /** The part of the waiting work that is for later. */
  delayed: number
  running: number
  /** Its runs that started within the last hour, among those read. */
  startedLastHour: number
  deadLetters: number
  /** The first enqueueing among the waiting work. Null if none waits. Instants are ISO 8601 in UTC. */
  oldestAt: string | null
  /** The maximum of its runs at once that a person has set. Null if not set. */
  perKey: number | null
  /** The person of the last setting, and (`setAt`, `reason`) when and why. Null if there is none. */
  setBy: string | null
  setAt: string | null
  reason: string | null
  paused: KeyPause | null
  /** The end of a service's refusal: none of its work starts before. */
  parkedUntil: string | null
  parkReason: string | null
}

/** The start of a pause, its person and its reason. */
export interface KeyPause {
  at: string
  by: string
  reason: string | null
  /** Null if it lasts until a person resumes it. */
  until: string | null
}

export interface KeyQuery {
  /** Default: all keys. */
  key?: string | undefined
  /** Default 50, at most 200. */
  limit?: number | undefined
  /** The order: most `waiting` (default), `running` or `started`, the longest wait (`oldest`), or by `key`. */
  order?: (typeof KEY_SORTS)[number] | undefined
}

export interface KeyPage {
  keys: ListedKey[]
  /** The number of keys among the counted work. */
  total: number
  /**
   * The number of counted pieces, the first in the order of claims. With `isCut` there are more: the true counts may be higher.
   */
  counted: number
  isCut: boolean
  /** The job's runs that started within the last hour. With `areStartsCut` there were more, and only the latest were read. */
  startedLastHour: number
  areStartsCut: boolean
}

/** A key with the facts of its own page. */
export interface FoundKey extends ListedKey {
  /** Whether there is more waiting work than was counted. */
  isCut: boolean
  /** The runs under way that started first: 20 at most. */
  runs: SlotHolder[]
  /** For all keys: see KeyPage. */
  ofAllStarted: number
  areStartsCut: boolean
  /** The limits in the job's code for each key. Null if no worker has registered a `partition` of it. */
  limit: Pick<ListedLimit, 'perKey' | 'order' | 'rateLimit' | 'ratePerMs' | 'rateBy'> | null
}

/** Maximum of waiting pieces whose keys are counted, and of keys with settings to read. */
const MAX_KEYED_COUNTED = 100_000
/** Maximum of the job's latest runs whose shares are counted. */
const MAX_STARTS = 10_000

const isWanted = (of: string) => `($2::text is null or ${of}."key" = $2)`

/** The first pieces of a part of the waiting work, in its order, so that uncounted pieces start later. */
const firstOf = (part: string, order: string) => `(
      select work."key", work."enqueuedAt", work."place" is null and work."dueAt" > now() as "isLater"
      from "JobWork" work where work."name" = $1 and work."key" is not null and ${isWanted('work')} and ${part}
      order by ${order} limit ${MAX_KEYED_COUNTED + 1}
    )`

/** The keys of job `$1`, or with `$2` that key, at most `$3`, in the order `$4`. */
const LIST_KEYS_SQL = `
  with looked as materialized (
    select * from (
      ${firstOf(READY, IN_PLACE)} union all ${firstOf(SUSPECT, IN_PLACE)} union all ${firstOf(LATER, IN_TIME)}
    ) work limit ${MAX_KEYED_COUNTED + 1}
  ), waiting as materialized (
    select "key", count(*)::int as "waiting", (count(*) filter (where "isLater"))::int as "delayed", min("enqueuedAt") as "oldestAt"
    from looked group by 1
  ), held as materialized (
    select held."key", count(*)::int as "running" from "JobClaim" claim cross join unnest(claim."runIds", claim."keys") held("id", "key")
    where claim."name" = $1 and held."key" is not null and ${isWanted('held')} and ${hasNotEnded('held."id"')} group by 1
  ), recent as materialized (
    select coalesce(run."key", '') as "key" from "JobRunAll" run
    where ${equalsInOrder('run."name"', '$1')} and run."startedAt" > now() - interval '1 hour'
    order by run."name", run."startedAt" desc, run."id" desc limit ${MAX_STARTS + 1}
  ), starts as materialized (
    select "key", count(*)::int as "started" from recent group by 1
  ), letters as materialized (
    select "key", count(*)::int as "deadLetters" from (
      select letter."key" from "JobDeadLetter" letter
      where letter."name" = $1 and letter."key" is not null and ${isWanted('letter')} limit ${MAX_KEYED_COUNTED}
    ) letter group by 1
  ), own as materialized (
    select own.*, coalesce("parkedUntil" > now(), false) as "isParked" from "JobKey" own
    where "name" = $1 and ${isWanted('own')} and ("perKey" is not null or "pausedUntil" is not null or "parkedUntil" > now())
    limit ${MAX_KEYED_COUNTED}
  ), named as materialized (
    select "key" from waiting union select "key" from held union select "key" from letters
    union select "key" from own union select "key" from starts where "key" <> '' union select $2 where $2 is not null
  )
  select named."key", coalesce(waiting."waiting", 0) as "waiting", coalesce(waiting."delayed", 0) as "delayed",
         coalesce(held."running", 0) as "running", coalesce(starts."started", 0) as "startedLastHour",
         coalesce(letters."deadLetters", 0) as "deadLetters", waiting."oldestAt",
         own."perKey", ${boundedText('own."setBy"')} as "setBy", own."setAt", ${boundedText('own."reason"')} as "reason",
         case when own."pausedUntil" > now() then jsonb_build_object(
           'at', ${jsonInstant('coalesce(own."pausedAt", own."setAt")')}, 'by', ${boundedText('own."pausedBy"')}, 'reason', ${boundedText('own."pauseReason"')},
           'until', case when own."pausedUntil" < 'infinity' then ${jsonInstant('own."pausedUntil"')} end
         ) end as "paused",
         case when own."isParked" then own."parkedUntil" end as "parkedUntil",
         case when own."isParked" then ${boundedText('own."parkReason"')} end as "parkReason",
         (count(*) over ())::int as "total", (select count(*)::int from looked) as "counted", (select count(*)::int from recent) as "recent"
  from named left join waiting using ("key") left join held using ("key") left join starts using ("key") left join letters using ("key")
    left join own using ("key")
  where ${isWanted('named')}
  order by case $4::text when 'waiting' then waiting."waiting" when 'running' then held."running" when 'started' then starts."started" end desc nulls last,
    case when $4::text = 'oldest' then waiting."oldestAt" end, case when $4::text <> 'key' then waiting."waiting" end desc nulls last,
    case when $4::text <> 'key' then held."running" end desc nulls last, named."key" limit $3::int`

type KeyRow = ListedKey & { total: number; counted: number; recent: number }

async function readKeys(
  reader: JobsReader,
  ...values: [name: string, key: string | null, limit: number, order: string]
): Promise<KeyPage> {
  const rows = await reader.rows<KeyRow>({ text: LIST_KEYS_SQL, values })
  const { total = 0, counted = 0, recent = 0 } = rows[0] ?? {}
  return {
    keys: rows.map(({ total: _total, counted: _counted, recent: _recent, ...row }) => row),
    total,
    counted: Math.min(counted, MAX_KEYED_COUNTED),
    isCut: counted > MAX_KEYED_COUNTED,
    startedLastHour: Math.min(recent, MAX_STARTS),
    areStartsCut: recent > MAX_STARTS,
  }
}

/** Lists the keys of a job that have work, had some within the hour, or have settings. */
export async function listKeys(
  reader: JobsReader,
  job: Pick<Job, 'name'>,
  query: KeyQuery = {},
): Promise<KeyPage> {
  const { name, key, limit = 50, order = 'waiting' } = checkKeyQuery(job, query)
  const page = await readKeys(reader, name, key ?? null, limit, order)
  // A requested key has a row even if there is no record of it.
  const keys = key === undefined ? page.keys : page.keys.filter(isTold)
  return { ...page, keys, total: key === undefined ? page.total : keys.length }
}

const isTold = ({
  waiting,
  running,
  startedLastHour,
  deadLetters,
  setAt,
  parkedUntil,
}: ListedKey) =>
  waiting + running + startedLastHour + deadLetters > 0 || (setAt ?? parkedUntil) !== null

const KEY_RUNS_SQL = `
  select held."id"::text as "runId", claim."name", nullif(held."key", '') as "key", ${boundedText('claim."workerId"')} as "workerId", claim."startedAt"
  from "JobClaim" claim cross join unnest(claim."runIds", claim."keys") held("id", "key")
  where claim."name" = $1 and held."key" = $2 and ${hasNotEnded('held."id"')} order by claim."startedAt", 1 limit ${MAX_HOLDERS}`

const KEY_LIMIT_SQL = `
  select "perKey", "order", "rateLimit", "ratePerMs"::float8 as "ratePerMs", "rateBy" from "JobLimit" where "name" = $1 and "order" is not null`

/** Finds one key, also if there is no record of it. */
export async function getKey(
  reader: JobsReader,
  job: Pick<Job, 'name'>,
  asked: string,
): Promise<FoundKey> {
  const { name, key } = checkKeyOf(job, asked)
  const [page, runs, limits] = await Promise.all([
    readKeys(reader, name, key, 1, 'key'),
    reader.rows<SlotHolder>({ text: KEY_RUNS_SQL, values: [name, key] }),
    reader.rows<NonNullable<FoundKey['limit']>>({
      text: KEY_LIMIT_SQL,
      values: [ownLimitOf(name)],
    }),
  ])
  const { keys, isCut, startedLastHour: ofAllStarted, areStartsCut } = page
  return {
    ...(keys[0] as ListedKey),
    isCut,
    runs,
    ofAllStarted,
    areStartsCut,
    limit: limits[0] ?? null,
  }
}
