// Not quick: workers that come, claim, die and are deployed, with all of it checked after each step.
import { waitFor } from '@roundsman/testing'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { z } from 'zod'
import { redriveDeadLetters } from '../../src/control/deadLetters.ts'
import { setKey, setLimit } from '../../src/control/controlLimits.ts'
import { defineJob, defineLimit, type Job } from '../../src/index.ts'
import { rescueLostRuns } from '../../src/liveness/rescue.ts'
import { workerLockKey } from '../../src/database/workerLock.ts'
import { explainWork } from '../../src/read/explainWork.ts'
import { claimByHand } from '../../src/queue/claimByHand.ts'
import type { Taken } from '../../src/queue/taken.ts'
import { endRuns } from '../../src/queue/endRuns.ts'
import { giveEmptyKeys, readRules } from '../../src/queue/limitSql.ts'
import { placeDue } from '../../src/queue/looks.ts'
import { PLACE_SQL } from '../../src/queue/place.ts'
import { createClaimer, type Claimer } from '../../src/work/claimer.ts'
import { createLimits, type Limits } from '../../src/work/limits.ts'
import { registerLimits, settleLimits } from '../../src/worker/registerLimits.ts'
import { toEnd } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime()
const NAMES = ['sync', 'mail'] as const
const by = { actor: 'admin@example.com', reason: 'as a test' }
/** Ten in so long, one of them at once. */
const RATE = { limit: 10, perMs: 200 }

const most = fc.option(fc.integer({ min: 1, max: 3 }))
const name = fc.constantFrom(...NAMES)
const key = fc.constantFrom('a', 'b', 'c', '')
const version = fc.record({
  global: most,
  perKey: most,
  order: fc.constantFrom('fair', 'fair', 'fifo', null),
  shared: fc.option(
    fc.record({ name: fc.constantFrom('crm', 'erp'), global: fc.integer({ min: 1, max: 4 }) }),
  ),
  doesMailShare: fc.boolean(),
  hasMail: fc.constantFrom(true, true, false),
})
type Version = typeof version extends fc.Arbitrary<infer Drawn> ? Drawn : never

const which = fc.nat({ max: 99 })
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant('enqueue'),
      name,
      key,
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constant('claim'),
      size: fc.integer({ min: 1, max: 6 }),
      // With `kill`, a worker is killed while its claim waits.
      how: fc.constantFrom('free', 'free', 'free', 'locked', 'kill'),
      which,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant('end'),
      which,
      how: fc.constantFrom('done', 'done', 'again', 'dead'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('kill'), which }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('rescue'), which }) },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant('start'),
      version: fc.nat({ max: 2 }),
      beside: fc.constantFrom('nothing', 'claims', 'rounds'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('round'), which }) },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('setLimit'),
      of: fc.constantFrom('sync', 'crm'),
      value: most,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('setKey'),
      key: fc.constantFrom('a', ''),
      perKey: most,
      isPaused: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('park'),
      of: fc.constantFrom('job:sync', 'crm'),
      key: fc.constantFrom(null, null, '', 'a'),
      isOver: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('hand'), which, name, key }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('redrive') }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('empty') }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('settle') }) },
)
type Step = typeof step extends fc.Arbitrary<infer Drawn> ? Drawn : never

/** What binds: a row of JobLimit, or what a version defines of it. */
interface Bound {
  global: number | null
  perKey: number | null
  order: string | null
  jobs: string[]
}
type Bounds = Record<string, Bound>

interface TestWorker {
  id: string
  jobs: readonly Job[]
  bounds: Bounds
  session: pg.Client
  claimer: Claimer
  limits: Limits
  held: Taken[]
}

let workers: TestWorker[] = []
/** What those held that have been killed. */
let lost: { id: string; taken: Taken }[] = []
let started = 0
/** The rows as the rule has them. */
let bounds: Bounds = {}

beforeAll(async () => {
  await runtime.rows(`create table "Start" ("key" text, "at" timestamptz not null)`)
  // Claims by rules that are not those of the rows.
  await runtime.rows(`create table "Stale" ("name" text)`)
  await runtime.rows(`
    create function note_start() returns trigger language plpgsql as $$
    begin
      insert into "Start" select run."key", clock_timestamp() from unnest(new."keys") run("key")
        where new."name" = 'sync' and exists (select from "JobLimit" where "name" = 'job:sync' and "rateBy" = 'key');
      insert into "Stale" select new."name" where new."limits" is distinct from array(
        select one."name" from "JobLimit" one where one."name" = 'job:' || new."name" or new."name" = any(one."jobs") order by 1
      ) or new."keys" is null and not new."isAlone" and exists (select from "JobLimit" where "name" = 'job:' || new."name" and "order" is not null);
      return null;
    end $$`)
  await runtime.rows(`
    create trigger note_start after insert on "JobClaim" for each row
    when (new."origin" = 'queue' and new."limits" is not null) execute function note_start()`)
})

afterAll(async () => {
  for (const { session } of workers) await session.end()
})

const RUNS = Number(process.env['LIMIT_HISTORIES'] ?? 6)

it(
  'holds every limit, and leaves no slot free, through deaths and deploys',
  { timeout: 1_800_000 },
  async () => {
    const story = fc.record({
      versions: fc.tuple(version, version, version),
      hasRate: fc.constantFrom(false, false, true),
      steps: fc.array(step, { minLength: 15, maxLength: 40, size: 'max' }),
    })
    await fc.assert(
      fc.asyncProperty(story, async ({ versions, hasRate, steps }) => {
        await clear()
        const start = (at: number) => startWorker(versions[at]!, hasRate)
        await start(0)
        for (const one of steps) {
          await take(one, start)
          await expectHeld()
        }
        await finish()
      }),
      { numRuns: RUNS, endOnFailure: true },
    )
  },
)

function toJobs(
  { global, perKey, order, shared, doesMailShare, hasMail }: Version,
  hasRate: boolean,
): Job[] {
  const limits = shared === null ? [] : [defineLimit(shared)]
  const concurrency = {
    perWorker: 100,
    ...(global !== null && { global }),
    ...(perKey !== null && order === 'fair' && { perKey }),
  }
  const of = { payload: z.object({ key: z.string() }), concurrency }
  const partition = order !== null && {
    partition: { key: (payload: { key: string }) => payload.key, order },
  }
  const rateLimit = hasRate && order !== null && { rateLimit: { ...RATE, by: 'key' as const } }
  return [
    defineJob({ ...of, name: 'sync', limits, ...partition, ...rateLimit }),
    ...(hasMail ? [defineJob({ name: 'mail', limits: doesMailShare ? limits : [] })] : []),
  ]
}

function boundsOf({ global, perKey, order, shared, doesMailShare, hasMail }: Version): Bounds {
  const ofKey = order === 'fifo' ? 1 : order === 'fair' ? perKey : null
  const own = { global, perKey: ofKey, order, jobs: ['sync'] }
  const none = { global: null, perKey: null, order: null }
  const sharing = ['sync', ...(hasMail && doesMailShare ? ['mail'] : [])]
  return {
    'job:sync': own,
    ...(hasMail && { 'job:mail': { ...none, jobs: ['mail'] } }),
    ...(shared && { [shared.name]: { ...none, global: shared.global, jobs: sharing.toSorted() } }),
  }
}

function strictest(all: readonly (Bound | undefined)[]): Omit<Bound, 'jobs'> {
  const least = (what: 'global' | 'perKey') => {
    const numbers = all.flatMap((one) => one?.[what] ?? [])
    return numbers.length === 0 ? null : Math.min(...numbers)
  }
  const orders = all.map((one) => one?.order)
  const order = orders.includes('fifo') ? 'fifo' : orders.includes('fair') ? 'fair' : null
  return { global: least('global'), perKey: least('perKey'), order }
}

/** A start adds jobs and the stricter numbers. */
function boundByStart(own: Bounds): void {
  for (const [limit, one] of Object.entries(own)) {
    const before = bounds[limit]
    const jobs = [...new Set([...(before?.jobs ?? []), ...one.jobs])].toSorted()
    bounds[limit] = { ...strictest([before, one]), jobs }
  }
}

/** Numbers loosen and jobs leave once no living worker says otherwise; with none living the row stays. */
function boundByRound(): void {
  for (const [limit, before] of Object.entries(bounds)) {
    const said = workers.map((worker) => worker.bounds[limit])
    const isKnown = (job: string) =>
      workers.some(({ jobs }) => jobs.some(({ name: of }) => of === job))
    const lists = (job: string) => said.some((one) => one?.jobs.includes(job))
    const jobs = NAMES.filter((job) => lists(job) || (before.jobs.includes(job) && !isKnown(job)))
    const isStill = said.every((one) => one === undefined) && jobs.length > 0
    bounds[limit] = { ...(isStill ? before : strictest(said)), jobs: jobs.toSorted() }
  }
}

async function clear(): Promise<void> {
  for (const { session } of workers) await session.end()
  workers = []
  lost = []
  bounds = {}
  await runtime.clear('JobLimit', 'JobKey', 'JobThrottle', 'JobWorker', 'JobAction', 'Start')
}

async function startWorker(of: Version, hasRate: boolean): Promise<TestWorker> {
  const jobs = toJobs(of, hasRate)
  const id = `w${++started}`
  const session = new pg.Client({ connectionString: runtime.url, application_name: id })
  session.on('error', () => undefined)
  await session.connect()
  await session.query(`select pg_advisory_lock(${workerLockKey('$1::text')})`, [id])
  await runtime.rows(`insert into "JobWorker" ("id", "lanes") values ($1, $2::jsonb)`, [
    id,
    JSON.stringify(Object.fromEntries(jobs.map((job) => [job.name, 1_000]))),
  ])
  const limits = createLimits()
  const claimer = createClaimer({
    database: runtime.database,
    workerId: id,
    now: () => new Date(),
    limits,
  })
  const worker = { id, jobs, bounds: boundsOf(of), session, claimer, limits, held: [] }
  await runtime.database.transaction((tx) => registerLimits(tx, { workerId: id, jobs }))
  boundByStart(worker.bounds)
  await readLimits(worker)
  workers.push(worker)
  return worker
}

async function makeRound(worker: TestWorker): Promise<void> {
  await settleLimits(runtime.database, { workerId: worker.id, jobs: worker.jobs })
  boundByRound()
  await readLimits(worker)
}

async function readLimits({ limits }: TestWorker): Promise<void> {
  await placeDue(runtime.database, NAMES)
  const rules = await readRules(runtime.database, NAMES)
  limits.note(rules)
  const keyed = NAMES.filter((one) => (rules[one]?.order ?? null) !== null)
  await giveEmptyKeys(runtime.database, keyed, null)
}

/** Whom others hold up, gets nothing this time. */
async function claim(worker: TestWorker, size: number): Promise<number> {
  const claims = worker.jobs.flatMap((job) => [
    worker.claimer.claim(job, size, { hasNews: true }),
    worker.claimer.claimSuspect(job),
  ])
  let count = 0
  for (const claimed of await Promise.allSettled(claims)) {
    const work = claimed.status === 'fulfilled' ? claimed.value.work : []
    worker.held.push(...work)
    count += work.length
  }
  return count
}

async function end(
  workerId: string,
  taken: Taken,
  how: 'done' | 'again' | 'dead',
): Promise<number> {
  const held = taken.claim
  held.open.delete(taken.id)
  const ended = await endRuns(
    runtime.database,
    workerId,
    [
      toEnd(taken, {
        isPlain: false,
        error: how === 'done' ? null : { code: 'broken', message: 'broken' },
        next: how === 'again' ? { kind: how, delayMs: 0 } : { kind: how },
      }),
    ],
    held.open.size === 0 ? [held.id] : [],
  )
  return ended.size
}

const pick = <One>(all: readonly One[], at: number): One | undefined => all[at % all.length]

async function take(one: Step, start: (version: number) => Promise<TestWorker>): Promise<void> {
  switch (one.does) {
    case 'enqueue':
      return await enqueueBeside(one.name, one.key, one.count)
    case 'claim': {
      if (one.how !== 'free')
        return await claimBesideLock(one.size, one.how === 'kill' ? one.which : null)
      return void (await claimAll(one.size))
    }
    case 'end':
      return await endOne(one.which, one.how)
    case 'kill':
      return await kill(one.which)
    case 'rescue': {
      const { id: workerId } = pick(workers, one.which) ?? (await start(1))
      return await rescue(workerId)
    }
    case 'start':
      return workers.length < 4 ? await deploy(() => start(one.version), one.beside) : undefined
    case 'round': {
      const worker = pick(workers, one.which)
      return worker && (await makeRound(worker))
    }
    case 'setLimit': {
      const of = one.of === 'sync' ? { job: { name: one.of } } : { limit: { name: one.of } }
      return void (await runtime.database.transaction((tx) =>
        setLimit(tx, of, { global: one.value }, by, () => undefined),
      ))
    }
    case 'setKey': {
      const settings = { perKey: one.perKey, paused: one.isPaused }
      const set = runtime.database.transaction((tx) =>
        setKey(tx, { name: 'sync' }, one.key, settings, by, () => undefined),
      )
      return void (await set.catch((error: unknown) => {
        if (!String(error).includes('with fifo it is 1')) throw error
      }))
    }
    case 'park':
      return void (await runtime.rows(
        one.key === null
          ? `update "JobLimit" set "parkedUntil" = now() + $2::interval where "name" = $1`
          : `insert into "JobKey" ("name", "key", "parkedUntil") select 'sync', $3, now() + $2::interval where $1 <> ''
             on conflict ("name", "key") do update set "parkedUntil" = excluded."parkedUntil"`,
        [one.of, one.isOver ? '-1 s' : '1 hour', ...(one.key === null ? [] : [one.key])],
      ))
    case 'hand':
      return await runByHand(one.which, one.name, one.key)
    case 'redrive':
      return void (await runtime.database.transaction((tx) =>
        redriveDeadLetters(tx, 'all', { ...by, evenIfWorkersDied: true }),
      ))
    case 'empty':
      return await empty()
    case 'settle':
      return await settle()
    default:
      throw new Error('unknown')
  }
}

async function endOne(at: number, asked: 'done' | 'again' | 'dead'): Promise<void> {
  const worker = pick(
    workers.filter(({ held }) => held.length > 0),
    at,
  )
  const taken = worker?.held.splice(at % worker.held.length, 1)[0]
  if (worker === undefined || taken === undefined) return
  expect(await end(worker.id, taken, taken.origin === 'hand' ? 'done' : asked)).toBe(1)
  reportEnd(worker, taken)
}

/** As its lane does. */
function reportEnd({ claimer }: TestWorker, taken: Taken): void {
  claimer.ended({ name: taken.name } as Job, taken)
}

/** Nobody waits for the other's commit, whatever the key. */
async function enqueueBeside(of: string, ownKey: string, count: number): Promise<void> {
  const isKeyed = (await readRules(runtime.database, [of]))[of]?.order != null
  const insert = `
    insert into "JobWork" ("id", "name", "bytes", "payload", "key")
    select ('00000000-0000-7000-8000-' || lpad(nextval('roundsman."JobPlace"')::text, 12, '0'))::uuid, $1, 2, '{}', $2
    from generate_series(1, $3::int)`
  const values = [of, of === 'sync' && isKeyed ? ownKey : null, count]
  await runtime.database.transaction(async (tx) => {
    await tx.query(insert, values)
    await runtime.database.transaction(async (other) => {
      await other.query(`set local lock_timeout = '200ms'`)
      await other.query(insert, values)
    })
  })
}

async function claimAll(size: number): Promise<number> {
  const counts = await Promise.all(workers.map((worker) => claim(worker, size)))
  return counts.reduce((sum, count) => sum + count, 0)
}

async function deploy(
  start: () => Promise<TestWorker>,
  beside: 'nothing' | 'claims' | 'rounds',
): Promise<void> {
  const others = [...workers]
  const own = start()
  if (beside === 'claims') await claimAll(3)
  if (beside === 'rounds')
    await Promise.all(
      others.map(({ id: workerId, jobs }) => settleLimits(runtime.database, { workerId, jobs })),
    )
  const worker = await own
  await expectStrict()
  if (beside === 'rounds') await makeRound(worker)
}

/** Somebody else holds rows of limits, and lets go of them once a claim waits. */
async function claimBesideLock(size: number, killed: number | null): Promise<void> {
  const victim = killed === null ? undefined : pick(workers, killed)
  let claims = Promise.resolve(0)
  await runtime.database.transaction(async (tx) => {
    const { rowCount } = await tx.query('select from "JobLimit" for update')
    claims = claimAll(size)
    if (rowCount === 0 || workers.length === 0) return
    const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid')
    const isOver = claims.then(() => true)
    await waitFor(async () => {
      const waiting = await runtime.rows(
        'select from pg_stat_activity where $1 = any(pg_blocking_pids(pid))',
        [rows[0]?.pid],
      )
      return waiting.length > 0 || (await Promise.race([isOver, Promise.resolve(false)]))
    })
    if (victim !== undefined) await endSession(victim)
  })
  await claims
  if (victim !== undefined && workers.includes(victim)) await kill(workers.indexOf(victim))
}

async function kill(at: number): Promise<void> {
  const worker = pick(workers, at)
  if (worker === undefined) return
  await endSession(worker)
  workers = workers.filter((one) => one !== worker)
  lost.push(...worker.held.map((taken) => ({ id: worker.id, taken })))
  // It takes nothing more, though it has not noticed.
  expect(await claim({ ...worker, held: [] }, 5)).toBe(0)
}

async function endSession({ id, session }: TestWorker): Promise<void> {
  await session.end()
  await waitFor(async () => {
    const held = await runtime.rows('select from pg_stat_activity where application_name = $1', [
      id,
    ])
    return held.length === 0
  })
}

async function rescue(workerId: string): Promise<void> {
  const { database, log } = runtime
  const rescued = await rescueLostRuns({ database, log, workerId, now: () => new Date() })
  expect(rescued.map(({ id }) => id).toSorted()).toEqual(
    lost.map(({ taken }) => taken.id).toSorted(),
  )
  // Whoever comes back can end nothing.
  for (const { id, taken } of lost) expect(await end(id, taken, 'done')).toBe(0)
  lost = []
}

async function runByHand(at: number, of: string, ownKey: string): Promise<void> {
  const worker = pick(workers, at)
  if (worker === undefined) return
  const taken = await runtime.database.transaction((tx) =>
    claimByHand(tx, worker.id, {
      ...{ claimId: crypto.randomUUID(), runId: crypto.randomUUID(), name: of },
      ...{ startedAt: new Date(), facts: { trigger: 'cli' }, payload: {} },
      ...{ exclusiveKey: null, expireSeconds: 900, key: of === 'sync' ? ownKey : undefined },
    }),
  )
  if (taken !== null && !('full' in taken)) worker.held.push(taken)
}

/** Rows of keys are what people and refusals have said, and nothing that runs depends on. */
async function empty(): Promise<void> {
  await runtime.database.transaction(async (tx) => {
    await tx.query(`update "JobLimit" set "changedPlace" = ${PLACE_SQL}`)
    await tx.query('delete from "JobKey"')
    await tx.query('update "JobLimit" set "parkedUntil" = null')
  })
}

/** After one round of a living worker, whatever waits does so for a reason. */
async function settle(): Promise<void> {
  for (const worker of workers) await makeRound(worker)
  while ((await claimAll(100)) > 0);
  await expectHeld()
  const waiting = await runtime.rows<{ id: string }>(
    'select "id" from "JobWork" order by "id" limit 30',
  )
  for (const { id } of waiting) {
    const explained = await explainWork(runtime.reader, id)
    const reasons = explained?.reasons.filter(({ kind }) => kind !== 'alone') ?? []
    // A rate may have come free meanwhile.
    if (reasons.length === 0)
      expect(await claimAll(100), JSON.stringify(explained)).toBeGreaterThan(0)
  }
}

async function readBounds(): Promise<Bounds> {
  const rows = await runtime.rows<Bound & { name: string }>(`
    select "name", "global", "perKey", "order", coalesce("jobs", array[substr("name", 5)]) as "jobs" from "JobLimit"`)
  // A job without limits need not have a row.
  const own = NAMES.map((of) => [`job:${of}`, { ...strictest([]), jobs: [of] }])
  return Object.fromEntries([...own, ...rows.map(({ name: of, ...one }) => [of, one])])
}

/** No row is looser than what a living worker defines. */
async function expectStrict(): Promise<void> {
  const rows = await readBounds()
  for (const worker of workers)
    for (const [limit, one] of Object.entries(worker.bounds)) {
      const jobs = [...new Set([...(rows[limit]?.jobs ?? []), ...one.jobs])].toSorted()
      expect(rows[limit]).toEqual({ ...strictest([rows[limit], one]), jobs })
    }
}

async function expectHeld(): Promise<void> {
  expect(await readBounds()).toMatchObject(bounds)
  expect(await runtime.rows('select * from "Stale"')).toEqual([])
  expect(await runtime.rows('select * from "JobLimitViolation"')).toEqual([])
  const running = await runtime.rows<{ id: string }>(`
    select run.id from "JobClaim" cross join unnest("runIds") run(id)
    where not exists (select from "JobRun" ended where ended."id" = run.id and ended."status" <> 'running')`)
  const held = [...workers.flatMap((worker) => worker.held), ...lost.map(({ taken }) => taken)]
  expect(running.map(({ id }) => id).toSorted()).toEqual(held.map(({ id }) => id).toSorted())
  const above = await runtime.rows(
    `select one."key", count(*) from "Start" one join "Start" other
       on other."key" = one."key" and other."at" >= one."at" and other."at" < one."at" + $1 * interval '1 millisecond'
     where exists (select from "JobLimit" where "name" = 'job:sync' and "rateBy" = 'key')
     group by one."key", one."at" having count(*) > $2::int`,
    [RATE.perMs, RATE.limit + 1],
  )
  expect(above).toEqual([])
}

/** Once nobody disturbs it, all is done. */
async function finish(): Promise<void> {
  await empty()
  const all = { global: null, perKey: null, shared: null, doesMailShare: false, hasMail: true }
  const worker = await startWorker({ ...all, order: 'fair' }, false)
  await rescue(worker.id)
  await waitFor(
    async () => {
      await runtime.database.transaction((tx) =>
        redriveDeadLetters(tx, 'all', { ...by, evenIfWorkersDied: true }),
      )
      await settle()
      for (const one of workers)
        for (const taken of one.held.splice(0)) {
          expect(await end(one.id, taken, 'done')).toBe(1)
          reportEnd(one, taken)
        }
      const [left] = await runtime.rows<{ n: number }>('select count(*)::int as n from "JobWork"')
      return left?.n === 0
    },
    { timeoutMs: 60_000 },
  )
}
