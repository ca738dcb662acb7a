import { createHash } from 'node:crypto'
import { recordActions } from '../control/recordActions.ts'
import type { Job, RateLimit } from '../job/defineJob.ts'
import { ownLimitOf, rateLimitOf } from '../job/limits.ts'
import { isAliveSql } from '../liveness/whoIsLost.ts'
import type { Connection } from '../store/database.ts'
import { LOCK_LIMITS_SQL } from '../store/limitSql.ts'
import { PLACE_SQL } from '../store/place.ts'

/*
 * The definitions of limits become rows of JobLimit, which claims read. A worker registers what its version defines. Of a version
 * that the row has seen before, it does so only where no living worker has registered a later one: an old version that restarts
 * changes nothing beside a newer one, and takes over once that is gone.
 */

/** What a version says of a limit. All null, and no jobs: it has none. */
interface Numbers {
  global: number | null
  perKey: number | null
  order: string | null
  rateLimit: number | null
  ratePerMs: number | null
  rateBy: 'job' | 'key' | null
}

interface Definition extends Numbers {
  name: string
  /** Of a shared limit, those of this worker's jobs that list it. */
  jobs: string[] | null
}

/** A version of a definition, and which workers have registered it. The last registered first comes last. */
interface Version {
  id: string
  workers: string[]
  isCurrent: boolean
}

interface LimitRow extends Definition {
  [column: string]: unknown
  versions: Version[] | Record<string, never>
  /** Of the workers in `versions`, those that live. */
  living: string[]
}

/** Older ones are forgotten: one that comes back counts as new. */
const MAX_VERSIONS = 50

/** Registers what the jobs define. Whoever starts does so, and again once a minute: workers of a later version may be gone. */
export async function registerLimits(
  tx: Connection,
  {
    workerId,
    jobs,
    version,
    isByHand = false,
  }: {
    workerId: string
    jobs: readonly Job[]
    version?: string | undefined
    /** A run by hand registers missing limits, and adds its job to shared ones. It leaves the numbers that workers registered. */
    isByHand?: boolean
  },
): Promise<void> {
  const names = jobs.map(({ name }) => name)
  const wanted = new Map(jobs.flatMap(definitionsOf).map((one) => [one.name, one]))
  for (const [name, one] of sharedOf(jobs)) wanted.set(name, one)
  const rows = await readRows(tx, [...wanted.keys()], names)
  if (isByHand)
    for (const row of rows) {
      const own = wanted.get(row.name)
      if (own === undefined || readVersions(row).length === 0) continue
      const { name, global, perKey, order, rateLimit, ratePerMs, rateBy } = row
      if (own.jobs?.every((job) => row.jobs?.includes(job)) ?? true) wanted.delete(name)
      else wanted.set(name, { ...own, global, perKey, order, rateLimit, ratePerMs, rateBy })
    }
  const found = isByHand ? [] : rows
  for (const { name, jobs: sharing } of found)
    if (!wanted.has(name)) wanted.set(name, { ...NONE, name, jobs: sharing && [] })
  const missing = [...wanted.values()].filter(({ name }) => !found.some((row) => row.name === name))
  if (wanted.size === 0) return
  if (missing.length > 0) await tx.query(INSERT_SQL, [missing.map(({ name }) => name).toSorted()])
  const isSettled =
    missing.length === 0 && found.every((row) => isRegistered(row, wanted, workerId))
  if (isSettled) return
  await tx.query(LOCK_LIMITS_SQL, [[...wanted.keys()]])
  for (const row of await readRows(tx, [...wanted.keys()], []))
    await registerOne(tx, row, wanted.get(row.name) as Definition, { names, workerId, version })
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

function definitionsOf(job: Job): Definition[] {
  const { name, globalConcurrency: global, concurrencyPerKey: perKey, partition, rateLimit } = job
  const order = partition?.order ?? null
  const own = { ...rateOf(rateLimit), global, perKey, order, jobs: null }
  if (global !== null || order !== null || job.limits.length > 0)
    return [{ ...own, name: ownLimitOf(name) }]
  return rateLimit === null ? [] : [{ ...own, name: rateLimitOf(name) }]
}

function sharedOf(jobs: readonly Job[]): Map<string, Definition> {
  const shared = new Map<string, Definition>()
  for (const job of jobs)
    for (const { name, global, rateLimit } of job.limits) {
      const known = shared.get(name) ?? { ...NONE, ...rateOf(rateLimit), name, global, jobs: [] }
      shared.set(name, { ...known, jobs: [...(known.jobs ?? []), job.name].toSorted() })
    }
  return shared
}

const idOf = ({ name: _name, ...said }: Definition) =>
  createHash('sha256')
    .update(
      JSON.stringify(Object.entries(said).toSorted(([one], [other]) => (one < other ? -1 : 1))),
    )
    .digest('hex')
    .slice(0, 16)

/** A row that nobody has registered yet has an empty object. */
function readVersions({ versions }: Pick<LimitRow, 'versions'>): Version[] {
  return Array.isArray(versions) ? versions : []
}

/** Whether there is nothing to write: it is on record, and the row is by it or by a later one that somebody has. */
function isRegistered(
  row: LimitRow,
  wanted: ReadonlyMap<string, Definition>,
  workerId: string,
): boolean {
  const id = idOf(wanted.get(row.name) as Definition)
  const versions = readVersions(row)
  const own = versions.find((one) => one.id === id)
  if (own === undefined || !own.workers.includes(workerId)) return false
  const current = versions.find(({ isCurrent }) => isCurrent)
  return own.isCurrent || (current?.workers.some((one) => row.living.includes(one)) ?? false)
}

async function registerOne(
  tx: Connection,
  row: LimitRow,
  definition: Definition,
  {
    names,
    workerId,
    version,
  }: { names: readonly string[]; workerId: string; version: string | undefined },
): Promise<void> {
  const id = idOf(definition)
  const living = new Set([...row.living, workerId])
  const before = readVersions(row).map((one) => ({
    ...one,
    workers: one.workers.filter((worker) => living.has(worker) && worker !== workerId),
  }))
  const known = before.find((one) => one.id === id)
  const current = before.find(({ isCurrent }) => isCurrent)
  const takesOver = known === undefined || known.isCurrent || (current?.workers.length ?? 0) === 0
  const own = { id, workers: [...(known?.workers ?? []), workerId], isCurrent: takesOver }
  const others = before.map((one) => (takesOver ? { ...one, isCurrent: false } : one))
  const versions = (
    known === undefined ? [...others, own] : others.map((one) => (one.id === id ? own : one))
  ).slice(-MAX_VERSIONS)
  if (!takesOver || known?.isCurrent === true)
    return void (await tx.query(`update "JobLimit" set "versions" = $2::jsonb where "name" = $1`, [
      row.name,
      JSON.stringify(versions),
    ]))
  const foreign = (row.jobs ?? []).filter((name) => !names.includes(name))
  const jobs = definition.jobs && [...foreign, ...definition.jobs].toSorted()
  // Whoever leaves a shared limit says nothing of what holds for the jobs of other programs.
  const isLeft = definition.jobs?.length === 0 && foreign.length > 0
  await tx.query(UPDATE_SQL, [
    row.name,
    JSON.stringify({ ...(isLeft ? row : definition), jobs }),
    JSON.stringify(versions),
  ])
  if (before.length === 0) return
  const change = `${describe(definition)}, before: ${describe(row)}`
  const targets = isLeft
    ? (row.jobs ?? []).filter((name) => !foreign.includes(name))
    : (jobs ?? [row.name.replace(/^(?:job|rate):/, '')])
  await recordActions(
    tx,
    'setLimit',
    targets.map((name) => ({
      name,
      change: definition.jobs === null ? change : `${row.name}: ${change}`,
    })),
    { actor: version === undefined || version === '' ? workerId : `version ${version}` },
  )
}

function describe(of: Numbers): string {
  const said = [
    of.global === null ? [] : [`${of.global} at once`],
    of.perKey === null ? [] : [`${of.perKey} of each key`],
    of.order === null ? [] : [`keys ${of.order}`],
    of.rateLimit === null
      ? []
      : [`${of.rateLimit} in ${of.ratePerMs} ms${of.rateBy === 'key' ? ' of each key' : ''}`],
  ].flat()
  return said.length === 0 ? 'no limit' : said.join(', ')
}

const COLUMNS = `one."name", one."global", one."perKey", one."order", one."rateLimit", one."ratePerMs"::float8 as "ratePerMs",
  one."rateBy", one."jobs", one."versions"`

/** Those of these names, and whatever else limits these jobs, with who lives of those that have registered them. */
async function readRows(
  tx: Connection,
  names: readonly string[],
  jobs: readonly string[],
): Promise<LimitRow[]> {
  const { rows } = await tx.query<LimitRow>(
    `select ${COLUMNS}, ${LIVING} from "JobLimit" one
     where one."name" = any($1::text[]) or one."jobs" && $2::text[]
       or one."name" = any(array(select prefix || name from unnest($2::text[]) name, unnest(array['job:', 'rate:']) prefix))
     order by one."name"`,
    [names, jobs],
  )
  return rows
}

const LIVING = `array(
    select worker."id" from "JobWorker" worker
    where worker."id" in (
      select jsonb_array_elements_text(said -> 'workers')
      from jsonb_array_elements(case when jsonb_typeof(one."versions") = 'array' then one."versions" else '[]' end) said
    ) and ${isAliveSql('worker."id"')}
  ) as "living"`

const INSERT_SQL = `
  insert into "JobLimit" ("name") select unnest($1::text[]) on conflict do nothing`

/** Its lock is held: claims that have counted by the old numbers are over. */
const UPDATE_SQL = `
  update "JobLimit" set "global" = said."global", "perKey" = said."perKey", "order" = said."order", "rateLimit" = said."rateLimit",
    "ratePerMs" = said."ratePerMs", "rateBy" = said."rateBy", "jobs" = said."jobs", "versions" = $3::jsonb, "changedPlace" = ${PLACE_SQL}
  from json_to_record($2::text::json) as said(
    "global" int, "perKey" int, "order" text, "rateLimit" int, "ratePerMs" bigint, "rateBy" text, "jobs" text[]
  )
  where "name" = $1`
