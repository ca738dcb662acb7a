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
import { workerLockKey } from '../../src/liveness/whoIsLost.ts'
import { explainWork } from '../../src/read/explainWork.ts'
import { claimByHand } from '../../src/store/claimByHand.ts'
import type { TakenWork } from '../../src/store/claimWork.ts'
import { endRuns } from '../../src/store/endRuns.ts'
import { giveEmptyKeys, readRules } from '../../src/store/limitSql.ts'
import { placeDue } from '../../src/store/looks.ts'
import { PLACE_SQL } from '../../src/store/place.ts'
import { createClaimer, type Claimer } from '../../src/work/claimer.ts'
import { createLimits, type Limits } from '../../src/work/limits.ts'
import { registerLimits } from '../../src/worker/registerLimits.ts'
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
      isLocked: fc.constantFrom(false, false, false, true),
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
    arbitrary: fc.record({ does: fc.constant('start'), version: fc.constantFrom(0, 1) }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('register'), which }) },
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
      key: fc.constantFrom('a', 'b'),
      perKey: most,
      isPaused: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('park'),
      of: fc.constantFrom('job:sync', 'crm'),
      key: fc.constantFrom('', 'a'),
      isOver: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('hand'), which, name, key }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('redrive') }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('empty') }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('settle') }) },
)
type Step = typeof step extends fc.Arbitrary<infer Drawn> ? Drawn : never

interface TestWorker {
  id: string
  jobs: readonly Job[]
  session: pg.Client
  claimer: Claimer
  limits: Limits
  held: TakenWork[]
}

let workers: TestWorker[] = []
/** What those held that have been killed. */
let lost: { id: string; taken: TakenWork }[] = []
let started = 0

beforeAll(async () => {
  await runtime.rows(`create table "Start" ("key" text, "at" timestamptz not null)`)
  await runtime.rows(`
    create function note_start() returns trigger language plpgsql as $$
    begin
      insert into "Start" select run."key", clock_timestamp() from unnest(new."keys") run("key") where run."key" <> '';
      return null;
    end $$`)
  await runtime.rows(`
    create trigger note_start after insert on "JobClaim" for each row
    when (new."name" = 'sync' and new."origin" = 'queue') execute function note_start()`)
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
      versions: fc.tuple(version, version),
      hasRate: fc.constantFrom(false, false, true),
      steps: fc.array(step, { minLength: 15, maxLength: 40, size: 'max' }),
    })
    await fc.assert(
      fc.asyncProperty(story, async ({ versions, hasRate, steps }) => {
        await clear()
        const jobs = versions.map((one) => toJobs(one, hasRate))
        await start(jobs[0]!)
        for (const one of steps) {
          await take(one, jobs)
          await expectHeld()
        }
        await finish()
      }),
      { numRuns: RUNS, endOnFailure: true },
    )
  },
)

function toJobs(
  { global, perKey, order, shared, doesMailShare }: Version,
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
    defineJob({ name: 'mail', limits: doesMailShare ? limits : [] }),
  ]
}

async function clear(): Promise<void> {
  for (const { session } of workers) await session.end()
  workers = []
  lost = []
  await runtime.clear('JobLimit', 'JobKey', 'JobThrottle', 'JobWorker', 'JobAction', 'Start')
}

async function start(jobs: readonly Job[]): Promise<TestWorker> {
  const id = `w${++started}`
  const session = new pg.Client({ connectionString: runtime.url, application_name: id })
  session.on('error', () => undefined)
  await session.connect()
  await session.query(`select pg_advisory_lock(${workerLockKey('$1::text')})`, [id])
  await runtime.rows(
    `insert into "JobWorker" ("id", "liveness", "lanes") values ($1, 'lock', '{"sync": 1000, "mail": 1000}')`,
    [id],
  )
  const limits = createLimits()
  const claimer = createClaimer({
    database: runtime.database,
    workerId: id,
    now: () => new Date(),
    limits,
  })
  const worker = { id, jobs, session, claimer, limits, held: [] }
  await runtime.database.transaction((tx) => registerLimits(tx, { workerId: id, jobs }))
  await makeRound(worker)
  workers.push(worker)
  return worker
}

async function makeRound({ limits }: TestWorker): Promise<void> {
  await placeDue(runtime.database, NAMES)
  const rules = await readRules(runtime.database, NAMES)
  limits.note(rules)
  const keyed = NAMES.filter((one) => (rules[one]?.order ?? null) !== null)
  await giveEmptyKeys(runtime.database, keyed, null)
}

/** Whom others hold up, gets nothing this time. */
async function claim(worker: TestWorker, size: number): Promise<number> {
  const claims = worker.jobs.flatMap((job) => [
    worker.claimer.claim(job, size, { isAsked: true }),
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
  taken: TakenWork,
  how: 'done' | 'again' | 'dead',
): Promise<number> {
  taken.held.open--
  const ended = await endRuns(
    runtime.database,
    workerId,
    [
      {
        runId: taken.run.id,
        claimId: taken.held.id,
        endedAt: new Date(),
        error: how === 'done' ? null : { code: 'broken', message: 'broken' },
        details: null,
        next: how === 'again' ? { kind: how, delayMs: 0 } : { kind: how },
      },
    ],
    taken.held.open === 0 ? [taken.held.id] : [],
  )
  return ended.size
}

const pick = <One>(all: readonly One[], at: number): One | undefined => all[at % all.length]

async function take(one: Step, jobs: readonly (readonly Job[])[]): Promise<void> {
  switch (one.does) {
    case 'enqueue':
      return await enqueueBeside(one.name, one.key, one.count)
    case 'claim': {
      if (one.isLocked) return await claimBesideLock(one.size)
      return void (await Promise.all(workers.map((worker) => claim(worker, one.size))))
    }
    case 'end':
      return await endOne(one.which, one.how)
    case 'kill':
      return await kill(one.which)
    case 'rescue': {
      const { id: workerId } = pick(workers, one.which) ?? (await start(jobs[1]!))
      return await rescue(workerId)
    }
    case 'start':
      return workers.length < 4 ? void (await start(jobs[one.version]!)) : undefined
    case 'register': {
      const worker = pick(workers, one.which)
      if (worker === undefined) return
      const { id: workerId, jobs: own } = worker
      return await runtime.database.transaction((tx) => registerLimits(tx, { workerId, jobs: own }))
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
        `insert into "JobPark" ("name", "key", "until") values ($1, $2, now() + $3::interval)
         on conflict ("name", "key") do update set "until" = excluded."until"`,
        [one.of, one.of === 'crm' ? '' : one.key, one.isOver ? '-1 s' : '1 hour'],
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
  await tellEnd(worker, taken)
}

/** As its lane does. */
async function tellEnd({ claimer, jobs }: TestWorker, taken: TakenWork): Promise<void> {
  await claimer.ended(jobs.find(({ name: of }) => of === taken.run.name) as Job, taken)
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

/** Somebody else holds rows of limits, and lets go of them once a claim waits. */
async function claimBesideLock(size: number): Promise<void> {
  let claims: Promise<unknown> = Promise.resolve()
  await runtime.database.transaction(async (tx) => {
    const { rowCount } = await tx.query('select from "JobLimit" for update')
    claims = Promise.all(workers.map((worker) => claim(worker, size)))
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
  })
  await claims
}

async function kill(at: number): Promise<void> {
  const worker = pick(workers, at)
  if (worker === undefined) return
  await worker.session.end()
  await waitFor(async () => {
    const held = await runtime.rows('select from pg_stat_activity where application_name = $1', [
      worker.id,
    ])
    return held.length === 0
  })
  workers = workers.filter((one) => one !== worker)
  lost.push(...worker.held.map((taken) => ({ id: worker.id, taken })))
  // It takes nothing more, though it has not noticed.
  expect(await claim({ ...worker, held: [] }, 5)).toBe(0)
}

async function rescue(workerId: string): Promise<void> {
  const { database, log } = runtime
  const rescued = await rescueLostRuns({ database, log, workerId, now: () => new Date() })
  expect(rescued.map(({ id }) => id).toSorted()).toEqual(
    lost.map(({ taken }) => taken.run.id).toSorted(),
  )
  // Whoever comes back can end nothing.
  for (const { id, taken } of lost) expect(await end(id, taken, 'done')).toBe(0)
  lost = []
}

async function runByHand(at: number, of: string, ownKey: string): Promise<void> {
  const worker = pick(workers, at)
  if (worker === undefined) return
  const run = {
    ...{ id: crypto.randomUUID(), name: of, trigger: 'cli' as const, attempt: 1, retriesLeft: 0 },
    ...{
      scheduledFor: null,
      startedAt: new Date(),
      dryRun: false,
      actor: null,
      reason: null,
      workId: null,
    },
  }
  const taken = await runtime.database.transaction((tx) =>
    claimByHand(tx, worker.id, {
      ...{ claimId: crypto.randomUUID(), run, envelope: { trigger: 'cli', payload: {} } },
      ...{ exclusiveKey: null, expireSeconds: 900, key: of === 'sync' ? ownKey : undefined },
    }),
  )
  if (taken !== null && 'run' in taken) worker.held.push(taken)
}

/** Rows of keys are what people and refusals have said, and nothing that runs depends on. */
async function empty(): Promise<void> {
  await runtime.database.transaction(async (tx) => {
    await tx.query(`update "JobLimit" set "changedPlace" = ${PLACE_SQL}`)
    await tx.query('delete from "JobKey"')
    await tx.query('delete from "JobPark"')
  })
}

/** After one round of a living worker, whatever waits does so for a reason. */
async function settle(): Promise<void> {
  const [worker] = workers
  if (worker === undefined) return
  await makeRound(worker)
  while ((await claim(worker, 100)) > 0);
  await expectHeld()
  const waiting = await runtime.rows<{ id: string }>(
    'select "id" from "JobWork" order by "id" limit 30',
  )
  for (const { id } of waiting) {
    const explained = await explainWork(runtime.reader, id)
    const reasons = explained?.reasons.filter(({ kind }) => kind !== 'alone') ?? []
    // A rate may have come free meanwhile.
    if (reasons.length === 0)
      expect(await claim(worker, 100), JSON.stringify(explained)).toBeGreaterThan(0)
  }
}

async function expectHeld(): Promise<void> {
  expect(await runtime.rows('select * from "JobLimitViolation"')).toEqual([])
  const running = await runtime.rows<{ id: string }>(`
    select run.id from "JobClaim" cross join unnest("runIds") run(id)
    where not exists (select from "JobRun" ended where ended."id" = run.id and ended."status" <> 'running')`)
  const held = [...workers.flatMap((worker) => worker.held), ...lost.map(({ taken }) => taken)]
  expect(running.map(({ id }) => id).toSorted()).toEqual(held.map(({ run }) => run.id).toSorted())
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
  const [
    worker = await start(
      toJobs(
        { global: null, perKey: null, order: 'fair', shared: null, doesMailShare: false },
        false,
      ),
    ),
  ] = workers
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
          await tellEnd(one, taken)
        }
      const [left] = await runtime.rows<{ n: number }>('select count(*)::int as n from "JobWork"')
      return left?.n === 0
    },
    { timeoutMs: 60_000 },
  )
}
