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
  /** Empty: work without a key. */
  key: string
  waiting: number
  /** How many of those that wait are for later. */
  delayed: number
  running: number
  /** How many of its runs have started within the last hour, of those looked at. */
  startedLastHour: number
  deadLetters: number
  /** When the first of what waits was enqueued; null where nothing does. Instants are ISO 8601 in UTC. */
  oldestAt: string | null
  /** How many of its runs may go on at once, as somebody has set; null where nobody has. */
  perKey: number | null
  /** Who has set something of it last, and (`setAt`, `reason`) when and why; null where nobody has. */
  setBy: string | null
  setAt: string | null
  reason: string | null
  paused: KeyPause | null
  /** Nothing of it starts before then, since a service has refused more. */
  parkedUntil: string | null
  parkReason: string | null
}

/** Since when none of its work starts, by whom and why. */
export interface KeyPause {
  at: string
  by: string
  reason: string | null
  /** Null: until somebody resumes it. */
  until: string | null
}

export interface KeyQuery {
  /** Default: all keys. */
  key?: string | undefined
  /** Default 50, at most 200. */
  limit?: number | undefined
  /** First what has most `waiting` (default), `running` or `started`, waits for longest (`oldest`), or the least `key`. */
  order?: (typeof KEY_SORTS)[number] | undefined
}

export interface KeyPage {
  keys: ListedKey[]
  /** How many keys there are, of what was counted. */
  total: number
  /**
   * How many pieces were counted, from what workers take first on. With `isCut` more wait: the true counts may be
   * higher.
   */
  counted: number
  isCut: boolean
  /**
   * How many runs of the job have started within the last hour. With `areStartsCut` more have, and only the latest were
   * looked at.
   */
  startedLastHour: number
  areStartsCut: boolean
}

/** A key with what only its own page shows. */
export interface FoundKey extends ListedKey {
  /** Whether more wait than were counted. */
  isCut: boolean
  /** Those under way that started first: 20 at most. */
  runs: SlotHolder[]
  /** Of all keys: see KeyPage. */
  ofAllStarted: number
  areStartsCut: boolean
  /** The limits that the job's code sets for each key; null where no worker has registered a `partition` of it. */
  limit: Pick<ListedLimit, 'perKey' | 'order' | 'rateLimit' | 'ratePerMs' | 'rateBy'> | null
}

/** Of so many pieces the keys are counted, whatever more wait; and so many keys are read of whom somebody has said something. */
const MAX_KEYED_COUNTED = 100_000
/** Of so many of the latest runs of the job the shares are counted. */
const MAX_STARTS = 10_000

const isWanted = (of: string) => `($2::text is null or ${of}."key" = $2)`

/** The first pieces of a part of what waits, in its order, so that what was not counted starts later. */
const firstOf = (part: string, order: string) => `(
      select work."key", work."enqueuedAt", work."place" is null and work."dueAt" > now() as "isLater"
      from "JobWork" work where work."name" = $1 and work."key" is not null and ${isWanted('work')} and ${part}
      order by ${order} limit ${MAX_KEYED_COUNTED + 1}
    )`

/** The keys of job `$1`, or with `$2` that one, `$3` at most, by the order `$4`. */
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

/** Lists the keys of a job that have work or have had some within the hour, or of which somebody has said something. */
export async function listKeys(
  reader: JobsReader,
  job: Pick<Job, 'name'>,
  query: KeyQuery = {},
): Promise<KeyPage> {
  const { name, key, limit = 50, order = 'waiting' } = checkKeyQuery(job, query)
  const page = await readKeys(reader, name, key ?? null, limit, order)
  // A key that somebody asks for has a row even where nothing tells of it.
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

/** Finds what there is to say of one key, also where nothing tells of it. */
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
