import { isDeepStrictEqual } from 'node:util'
import { recordActions } from '../queue/recordActions.ts'
import type { Job, RateLimit } from '../job/defineJob.ts'
import { ownLimitOf } from '../job/limits.ts'
import { isAliveSql } from '../database/workerLock.ts'
import type { Connection, Database } from '../database/database.ts'
import { GIVING_WAY } from '../database/giveWay.ts'
import { LOCK_LIMITS_SQL } from '../queue/limitSql.ts'
import { PLACE_SQL } from '../queue/place.ts'

/*
 * The definitions of limits become rows of JobLimit, and the row alone binds. Each worker's row of JobWorker has what its code
 * defines. A worker that starts adds its jobs, and its numbers where they are stricter. A round gives a row the strictest of what the
 * living workers define: so numbers loosen and jobs leave once no living worker defines them otherwise. Where no living worker has
 * the job, the row stays.
 */

interface Numbers {
  global: number | null
  perKey: number | null
  order: string | null
  rateLimit: number | null
  ratePerMs: number | null
  rateBy: 'job' | 'key' | null
}

/** One limit that a job is under, by the code. */
interface Definition extends Numbers {
  name: string
}

/** By job; one without limits has none. */
type Definitions = Record<string, Definition[]>

interface LimitRow extends Definition {
  /** Null: it is a job's own. */
  jobs: string[] | null
}

interface Registering {
  workerId: string
  jobs: readonly Job[]
  version?: string | undefined
}

/**
 * Registers what the jobs define, before the worker takes anything. A run by hand registers missing limits, and adds its job to shared
 * ones. It leaves the numbers that workers registered.
 */
export async function registerLimits(
  tx: Connection,
  { isByHand = false, ...own }: Registering & { isByHand?: boolean },
): Promise<void> {
  const defined = definitionsOf(own.jobs)
  const names = namesOf(defined)
  if (!isByHand) await tx.query(DEFINE_SQL, [own.workerId, JSON.stringify(defined)])
  if (names.length === 0) return
  await tx.query(INSERT_SQL, [names])
  // Also where nothing changes: a round that does not see this worker yet may be about to loosen a number.
  await tx.query(LOCK_LIMITS_SQL, [names])
  for (const row of (await read(tx, own.workerId)).rows) {
    if (!names.includes(row.name)) continue
    const keepsNumbers = isByHand && describe(row) !== NO_LIMIT
    const numbers = keepsNumbers ? row : strictest([row, ...numbersOf(row.name, defined)])
    await change(tx, row, { numbers, jobs: union(jobsOf(row), jobsUnder(row.name, defined)) }, own)
  }
}

/** Writes what the living workers define into the rows. Each worker does so now and then, for all jobs. */
export async function settleLimits(database: Database, own: Registering): Promise<void> {
  const defined = definitionsOf(own.jobs)
  const look = async (connection: Connection) => {
    const { living, rows } = await read(connection, own.workerId)
    const isOnRecord = isDeepStrictEqual(living[own.workerId], defined)
    const all = Object.values({ ...living, [own.workerId]: defined })
    const known = new Set(rows.map(({ name }) => name))
    const missing = namesOf(defined).filter((name) => !known.has(name))
    const changes = rows.flatMap((row) => {
      const next = settled(row, all)
      return isSame(row, next) ? [] : [{ row, next }]
    })
    return { isOnRecord, missing, changes }
  }
  const { isOnRecord, missing, changes } = await look(database)
  if (isOnRecord && missing.length === 0 && changes.length === 0) return
  const names = [...missing, ...changes.map(({ row }) => row.name)]
  await database.transaction(async (tx) => {
    await tx.query(DEFINE_SQL, [own.workerId, JSON.stringify(defined)])
    await tx.query(INSERT_SQL, [missing])
    await tx.query(LOCK_LIMITS_SQL, [names])
    for (const { row, next } of (await look(tx)).changes)
      if (names.includes(row.name)) await change(tx, row, next, own)
  }, GIVING_WAY)
}

const NONE: Numbers = {
  global: null,
  perKey: null,
  order: null,
  rateLimit: null,
  ratePerMs: null,
  rateBy: null,
}

const rateOf = (rate: RateLimit | null) => ({
  rateLimit: rate === null ? null : Math.min(rate.limit, 2 ** 31 - 1),
  ratePerMs: rate?.perMs ?? null,
  rateBy: rate === null ? null : (rate.by ?? 'job'),
})

/** A job under shared limits has a row of its own, too: its claims wait there while it joins another limit. */
function definitionsOf(jobs: readonly Job[]): Definitions {
  const all = jobs.map((job): [string, Definition[]] => {
    const { name, globalConcurrency: global, concurrencyPerKey: perKey, partition } = job
    const order = partition?.order ?? null
    const own = { ...rateOf(job.rateLimit), name: ownLimitOf(name), global, perKey, order }
    const shared = job.limits.map((one) => ({
      ...{ ...NONE, ...rateOf(one.rateLimit), name: one.name, global: one.global },
    }))
    return [name, describe(own) === NO_LIMIT && shared.length === 0 ? [] : [own, ...shared]]
  })
  return Object.fromEntries(all)
}

const numbersOf = (limit: string, defined: Definitions) =>
  Object.values(defined).flatMap((of) => of.filter(({ name }) => name === limit))
const jobsUnder = (limit: string, defined: Definitions) =>
  Object.keys(defined).filter((job) => defined[job]?.some(({ name }) => name === limit))
const union = (...all: string[][]) => [...new Set(all.flat())].toSorted()
const namesOf = (defined: Definitions) =>
  union(...Object.values(defined).map((of) => of.map(({ name }) => name)))

const isOwn = ({ name }: LimitRow) => name.startsWith('job:')
const jobsOf = (row: LimitRow) => (isOwn(row) ? [row.name.slice(4)] : (row.jobs ?? []))

interface NextRow {
  numbers: Numbers
  jobs: string[]
}

/** The row that follows from the definitions of all living workers. */
function settled(row: LimitRow, living: readonly Definitions[]): NextRow {
  const known = new Set(living.flatMap((defined) => Object.keys(defined)))
  const unknown = jobsOf(row).filter((job) => !known.has(job))
  const numbers = living.flatMap((defined) => numbersOf(row.name, defined))
  return {
    numbers: numbers.length === 0 && unknown.length > 0 ? row : strictest(numbers),
    jobs: union(unknown, ...living.map((defined) => jobsUnder(row.name, defined))),
  }
}

/** Numbers that are at least as strict as all of the others. */
function strictest(all: readonly Numbers[]): Numbers {
  const least = (numbers: (number | null)[]) =>
    numbers.reduce(
      (one, other) => (one === null || (other !== null && other < one) ? other : one),
      null,
    )
  const rateLimit = least(all.map((one) => one.rateLimit))
  const longestMs = all.map(
    (one) => ((one.ratePerMs ?? 0) * (rateLimit ?? 0)) / (one.rateLimit ?? 1),
  )
  return {
    global: least(all.map((one) => one.global)),
    perKey: least(all.map((one) => one.perKey)),
    order: ['fifo', 'fair'].find((order) => all.some((one) => one.order === order)) ?? null,
    rateLimit,
    ratePerMs: rateLimit === null ? null : Math.ceil(Math.max(...longestMs)),
    rateBy: (['job', 'key'] as const).find((by) => all.some((one) => one.rateBy === by)) ?? null,
  }
}

const isSame = (row: LimitRow, { numbers, jobs }: NextRow) =>
  Object.keys(NONE).every((key) => row[key as keyof Numbers] === numbers[key as keyof Numbers]) &&
  (isOwn(row) || jobsOf(row).join() === jobs.join())

/** The row is locked: claims that have counted by the old numbers are over. */
async function change(
  tx: Connection,
  row: LimitRow,
  next: NextRow,
  { workerId, version }: Registering,
): Promise<void> {
  if (isSame(row, next)) return
  const { numbers, jobs } = next
  await tx.query(UPDATE_SQL, [
    row.name,
    JSON.stringify({ ...numbers, jobs: isOwn(row) ? null : jobs }),
  ])
  const of = isOwn(row) ? '' : `${row.name}: `
  const changes = jobsOf(row).flatMap((name) => {
    const [before, after] = [describe(row), jobs.includes(name) ? describe(numbers) : NO_LIMIT]
    return before === NO_LIMIT || before === after
      ? []
      : [{ name, change: `${of}${after}, before: ${before}` }]
  })
  const actor = version === undefined || version === '' ? workerId : `version ${version}`
  if (changes.length > 0) await recordActions(tx, 'setLimit', changes, { actor })
}

const NO_LIMIT = 'no limit'

function describe(of: Numbers): string {
  const parts = [
    of.global === null ? [] : [`${of.global} at once`],
    of.perKey === null ? [] : [`${of.perKey} of each key`],
    of.order === null ? [] : [`keys ${of.order}`],
    of.rateLimit === null
      ? []
      : [`${of.rateLimit} in ${of.ratePerMs} ms${of.rateBy === 'key' ? ' of each key' : ''}`],
  ].flat()
  return parts.length === 0 ? NO_LIMIT : parts.join(', ')
}

/** All rows, and the definitions of each living worker. */
async function read(
  connection: Connection,
  workerId: string,
): Promise<{ rows: LimitRow[]; living: Record<string, Definitions> }> {
  const { rows } = await connection.query<{
    rows: LimitRow[]
    living: Record<string, Definitions>
  }>(READ_SQL, [workerId])
  return rows[0] as (typeof rows)[number]
}

const READ_SQL = `
  select (
      select coalesce(jsonb_agg(jsonb_build_object('name', "name", 'global', "global", 'perKey', "perKey", 'order', "order",
        'rateLimit', "rateLimit", 'ratePerMs', "ratePerMs", 'rateBy', "rateBy", 'jobs', "jobs") order by "name"), '[]')
      from "JobLimit"
    ) as "rows", (
      select coalesce(jsonb_object_agg(worker."id", worker."limits"), '{}') from "JobWorker" worker
      where worker."limits" is not null and (worker."id" = $1 or ${isAliveSql('worker."id"')})
    ) as "living"`

const DEFINE_SQL = `
  update "JobWorker" set "limits" = $2::jsonb where "id" = $1 and "limits" is distinct from $2::jsonb`

const INSERT_SQL = `
  insert into "JobLimit" ("name") select unnest($1::text[]) on conflict do nothing`

const UPDATE_SQL = `
  update "JobLimit" set "global" = defined."global", "perKey" = defined."perKey", "order" = defined."order", "rateLimit" = defined."rateLimit",
    "ratePerMs" = defined."ratePerMs", "rateBy" = defined."rateBy", "jobs" = defined."jobs", "changedPlace" = ${PLACE_SQL}
  from json_to_record($2::text::json) as defined(
    "global" int, "perKey" int, "order" text, "rateLimit" int, "ratePerMs" bigint, "rateBy" text, "jobs" text[]
  )
  where "name" = $1`
