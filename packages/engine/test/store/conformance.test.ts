// Not quick: claims and settles a queue in hundreds of states.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import type { PgBoss } from 'pg-boss'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { asDb, openBoss } from '../../src/store/boss.ts'
import { claimWork } from '../../src/store/claimWork.ts'
import type { Connection } from '../../src/store/database.ts'
import type { AfterFailure } from '../../src/store/queue.ts'
import { settleWork } from '../../src/store/settleWork.ts'
import { openTestQueue, toTestWork, type TestQueue } from '../openTestQueue.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

/*
 * Claiming and settling are statements of ours on pg-boss's table. Here each is held against pg-boss's own fetch,
 * complete and fail, on two queues with the same rows and in the same transaction, so at the same instant.
 *
 * Differences that are meant:
 *   claim     sets `expire_seconds` by the job as the worker knows it, where a request says so; keeps what a program has
 *             enqueued from being deleted later (`deletion_seconds` 0); takes nothing where the worker is not alive, or
 *             its exclusive key is held
 *   complete  takes the work out of the queue, since its run is the record of it; pg-boss keeps it as `completed`
 *   fail      is pg-boss's; before it the limit is set where we decide and not the limit: `giveUp` ends it now,
 *             `redeliver` costs no attempt and may start at once. What failed for good keeps `deletion_seconds` 0
 *
 * Which of several that were enqueued with one priority at one instant comes first, neither says: both go by the index
 * on (name, priority, created_on), where an order by id as well would sort all of a large batch at each claim.
 */

const OURS = 'ours'
const THEIRS = 'theirs'
/** Has work that one claim takes together with ours. */
const BESIDE = 'beside'
const jobs = [OURS, THEIRS, BESIDE].map((name) => defineJob({ name, description: '' }))

let runtime: TestRuntime
let queue: TestQueue
let boss: PgBoss
beforeAll(async () => {
  runtime = await openTestRuntime(jobs)
  queue = await openTestQueue(runtime, jobs)
  boss = openBoss(asDb(runtime.database), runtime.database.schema)
  boss.on('error', () => undefined)
  await boss.start()
})
afterAll(async () => {
  await boss.stop({ graceful: false, close: false })
  await queue.close()
  await runtime.close()
})

const rows = fc.uniqueArray(
  fc.record({
    id: fc.uuid({ version: [4, 7] }),
    priority: fc.constantFrom(0, 0, 1, -2),
    /** Seconds ago. Few different values, so that there are ties. */
    createdAgo: fc.integer({ min: -1, max: 3 }),
    startsIn: fc.constantFrom(-86_400, -1, 0, 0, 0, 1, 3_600),
    state: fc.constantFrom(
      ...(['created', 'created', 'created', 'created', 'retry', 'retry', 'active'] as const),
      ...(['completed', 'cancelled', 'failed'] as const),
    ),
    wasStarted: fc.boolean(),
    retryCount: fc.integer({ min: 0, max: 20 }),
    /** Work that waits has at least one retry left. */
    retriesLeft: fc.integer({ min: 1, max: 3 }),
    retryDelay: fc.integer({ min: 0, max: 100 }),
    retryBackoff: fc.boolean(),
    retryDelayMax: fc.option(fc.integer({ min: 1, max: 200 })),
    blocked: fc.constantFrom(false, false, false, true),
    groupId: fc.option(fc.constantFrom('a', 'b')),
    hasKey: fc.boolean(),
    trigger: fc.constantFrom('queue', 'schedule', 'manual'),
    keptFor: fc.constantFrom(-1, 86_400),
  }),
  { selector: ({ id }) => id, minLength: 1, maxLength: 25, size: 'max' },
)
type Row = (typeof rows extends fc.Arbitrary<infer Value> ? Value : never)[number]

class Undo extends Error {}

/** Does work in a transaction that is rolled back. */
async function trying(work: (tx: Connection) => Promise<void>): Promise<void> {
  await runtime.database
    .transaction(async (tx) => {
      await work(tx)
      throw new Undo()
    })
    .catch((error: unknown) => {
      if (!(error instanceof Undo)) throw error
    })
}

async function insert(tx: Connection, drawn: readonly Row[]): Promise<void> {
  await tx.query(
    `insert into pgboss.job (name, id, priority, data, state, created_on, start_after, started_on, retry_count,
       retry_limit, retry_delay, retry_backoff, retry_delay_max, blocked, group_id, singleton_key, policy, keep_until,
       completed_on, deletion_seconds, expire_seconds)
     select queue.name, (row ->> 'id')::uuid, (row ->> 'priority')::int,
       jsonb_build_object('payload', 1, 'trigger', row ->> 'trigger'), (row ->> 'state')::pgboss.job_state,
       now() - (row ->> 'createdAgo')::int * interval '1 s', now() + (row ->> 'startsIn')::int * interval '1 s',
       case when (row ->> 'wasStarted')::bool then now() - interval '1 h' end, (row ->> 'retryCount')::int,
       (row ->> 'retryCount')::int + (row ->> 'retriesLeft')::int - 1
         + case when (row ->> 'wasStarted')::bool then 1 else 0 end, (row ->> 'retryDelay')::int, (row ->> 'retryBackoff')::bool,
       (row ->> 'retryDelayMax')::int, (row ->> 'blocked')::bool, row ->> 'groupId',
       case when (row ->> 'hasKey')::bool then row ->> 'id' end, queue.policy,
       now() + (row ->> 'keptFor')::int * interval '1 s',
       case when row ->> 'state' in ('completed', 'cancelled', 'failed') then now() end, 3600, 900
     from jsonb_array_elements($1::jsonb) row cross join pgboss.queue queue
     where queue.name = any($2)`,
    [JSON.stringify(drawn), [OURS, THEIRS]],
  )
}

async function read(tx: Connection, name: string): Promise<Map<string, Record<string, unknown>>> {
  const { rows: found } = await tx.query<{ id: string; job: Record<string, unknown> }>(
    `select id::text, to_jsonb(job) - 'name' as job from pgboss.job job where name = $1 order by id`,
    [name],
  )
  return new Map(found.map(({ id, job }) => [id, job]))
}

const MEANT_BY_CLAIM = ['deletion_seconds']
const without = (job: Record<string, unknown> | undefined, columns: readonly string[]) =>
  job && Object.fromEntries(Object.entries(job).filter(([column]) => !columns.includes(column)))

/** What `order by` sees of these rows. */
const sortKeys = (drawn: readonly Row[], ids: readonly string[]) =>
  drawn
    .filter(({ id }) => ids.includes(id))
    .map(({ priority, createdAgo }) => ({ priority, createdAgo }))
    .toSorted((a, b) => b.priority - a.priority || b.createdAgo - a.createdAgo)

/** The three statements that may claim; the request decides which. */
type Way = 'few' | 'backlog' | 'many'

/** Returns what was taken of our queue. */
async function claim(tx: Connection, limit: number, way: Way = 'few') {
  const request = (name: string) => ({
    claimId: crypto.randomUUID(),
    name,
    limit,
    exclusiveKey: null,
    hasBacklog: way === 'backlog',
  })
  const { work } = await claimWork(tx, {
    workerId: 'w1',
    requests: (way === 'many' ? [BESIDE, OURS] : [OURS]).map(request),
    startedAt: new Date(),
    hasFreshRunIds: true,
  })
  return work.map(toTestWork).filter(({ name }) => name === OURS)
}

describe('claiming', () => {
  it.each<{ way: Way; of: string; numRuns: number }>([
    { way: 'few', of: 'one job', numRuns: 120 },
    { way: 'backlog', of: 'one job with a backlog', numRuns: 40 },
    { way: 'many', of: 'several jobs', numRuns: 40 },
  ])(
    'of $of takes what pg-boss fetches, in its order, and leaves the same rows',
    async ({ way, numRuns }) => {
      await fc.assert(
        fc.asyncProperty(
          rows,
          fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 6 }),
          fc.boolean(),
          (drawn, limits, isByIndex) =>
            trying(async (tx) => {
              await insert(tx, drawn)
              await tx.query(
                `insert into pgboss.job (name, data, priority) select $1, '{"payload":1,"trigger":"queue"}', n
               from generate_series(0, 5) n`,
                [BESIDE],
              )
              let beside = 6
              // Dropped, since this index would impose an order that nobody asked for.
              if (!isByIndex) {
                await tx.query('drop index pgboss.job_common_i11')
              }
              for (const batchSize of limits) {
                const work = await claim(tx, batchSize, way)
                if (way === 'many') beside = Math.max(0, beside - batchSize)
                expect(await countWaiting(tx, BESIDE)).toBe(beside)
                const fetched = await boss.fetch(THEIRS, { batchSize, db: asDb(tx) })
                const ours = work.map(({ workId }) => workId)
                const theirs = fetched.map(({ id }) => id)
                expect(sortKeys(drawn, ours)).toEqual(sortKeys(drawn, theirs))
                const [jobsOfOurs, jobsOfTheirs] = [await read(tx, OURS), await read(tx, THEIRS)]
                for (const { workId: id, attempt, envelope } of work) {
                  const job = jobsOfOurs.get(id)
                  expect(attempt).toBe(Number(job?.['retry_count']) + 1)
                  expect(envelope).toEqual(job?.['data'])
                  const isKept = envelope.trigger === 'queue'
                  expect(job?.['deletion_seconds']).toBe(isKept ? 0 : 3600)
                }
                for (const { id } of drawn) {
                  // With several that tie, each side may have taken another one.
                  if (ours.includes(id) !== theirs.includes(id)) continue
                  expect(without(jobsOfOurs.get(id), MEANT_BY_CLAIM)).toEqual(
                    without(jobsOfTheirs.get(id), MEANT_BY_CLAIM),
                  )
                }
                if (!sameSet(ours, theirs)) return
              }
            }),
        ),
        { numRuns },
      )
    },
  )
})

async function countWaiting(tx: Connection, name: string): Promise<number> {
  const { rows: found } = await tx.query(
    `select from pgboss.job where name = $1 and state = 'created'`,
    [name],
  )
  return found.length
}

const sameSet = (one: readonly string[], other: readonly string[]) =>
  one.length === other.length && one.every((id) => other.includes(id))

describe('settling', () => {
  const perturbations = fc.array(
    fc.constantFrom('none', 'none', 'givenOutAgain', 'cancelled', 'gone'),
    {
      minLength: 25,
      maxLength: 25,
    },
  )

  /** Both sides take all of it; then some of it is changed, as if it had gone on meanwhile. */
  async function takeAll(tx: Connection, drawn: readonly Row[], perturbed: readonly string[]) {
    await insert(tx, drawn)
    const work = await claim(tx, 100)
    await boss.fetch(THEIRS, { batchSize: 100, db: asDb(tx) })
    for (const [index, { workId }] of work.entries()) {
      const change = {
        none: null,
        givenOutAgain: 'update pgboss.job set retry_count = retry_count + 1 where id = $1',
        cancelled: `update pgboss.job set state = 'cancelled', completed_on = now() where id = $1`,
        gone: 'delete from pgboss.job where id = $1',
      }[perturbed[index] as 'none']
      if (change) await tx.query(change, [workId])
    }
    const attempts = work.map(({ workId: id, attempt }) => ({ id, retryCount: attempt - 1 }))
    return { work, attempts }
  }

  it('completes what pg-boss completes, and takes it out of the queue', async () => {
    await fc.assert(
      fc.asyncProperty(rows, perturbations, (drawn, perturbed) =>
        trying(async (tx) => {
          const { work, attempts } = await takeAll(tx, drawn, perturbed)
          await settleWork(
            tx,
            'w1',
            work.map(({ run }) => ({
              ended: { run, endedAt: new Date(), failure: null },
              details: null,
            })),
            [],
          )
          if (attempts.length > 0) await boss.complete(THEIRS, attempts, {}, { db: asDb(tx) })
          const [ours, theirs] = [await read(tx, OURS), await read(tx, THEIRS)]
          const ids = new Set(attempts.map(({ id }) => id))
          const isCompleted = (id: string) =>
            ids.has(id) && theirs.get(id)?.['state'] === 'completed'
          expect(drawn.map(({ id }) => without(ours.get(id), MEANT_BY_CLAIM))).toEqual(
            drawn.map(({ id }) =>
              isCompleted(id) ? undefined : without(theirs.get(id), MEANT_BY_CLAIM),
            ),
          )
        }),
      ),
      { numRuns: 40 },
    )
  })

  it.each<AfterFailure>(['retry', 'giveUp', 'redeliver'])(
    'fails what pg-boss fails, with the same rows, by %s',
    async (next) => {
      const error = { code: 'smtp_down', message: 'No answer' }
      await fc.assert(
        fc.asyncProperty(rows, perturbations, (drawn, perturbed) =>
          trying(async (tx) => {
            const { work, attempts } = await takeAll(tx, drawn, perturbed)
            const before = await read(tx, THEIRS)
            const deliveries = work.map(({ workId, attempt }) => ({
              workId,
              attempt,
              name: OURS,
            }))
            await queue.queue.fail(tx, deliveries, error, next)
            if (attempts.length > 0) await boss.fail(THEIRS, attempts, error, { db: asDb(tx) })
            const [ours, theirs] = [await read(tx, OURS), await read(tx, THEIRS)]
            expect([...ours.keys()]).toEqual([...theirs.keys()])
            const pairs = [...theirs].map(([id, their]) => {
              const our = ours.get(id)!
              const was = before.get(id)!
              const attempt = attempts.find((each) => each.id === id)
              const isOver =
                attempt === undefined ||
                was['state'] !== 'active' ||
                was['retry_count'] !== attempt.retryCount
              if (isOver) return [without(our, MEANT_BY_CLAIM), without(their, MEANT_BY_CLAIM)]
              const meant = [...MEANT_BY_CLAIM, 'start_after']
              if (next === 'retry') {
                const waits = [our, their].map((job) => isBackOff(job, was))
                return [
                  { ...without(our, meant), waits },
                  { ...without(their, meant), waits: [true, true] },
                ]
              }
              const decided = {
                state: next === 'giveUp' ? 'failed' : 'retry',
                retry_limit:
                  next === 'giveUp' ? was['retry_count'] : Number(was['retry_limit']) + 1,
                ...(next === 'redeliver' && { completed_on: null, start_after: was['started_on'] }),
              }
              // Work that was given up the instant it was taken has that instant as its end.
              if (next === 'giveUp') Object.assign(decided, { completed_on: was['started_on'] })
              return [
                without(our, next === 'giveUp' ? meant : MEANT_BY_CLAIM),
                { ...without(their, next === 'giveUp' ? meant : MEANT_BY_CLAIM), ...decided },
              ]
            })
            expect(pairs.map(([our]) => our)).toEqual(pairs.map(([, their]) => their))
          }),
        ),
        { numRuns: 40 },
      )
    },
  )
})

/** Whether the next try is after between half of the delay and all of it, doubled at each attempt, when it backs off. */
function isBackOff(job: Record<string, unknown>, was: Record<string, unknown>): boolean {
  if (job['state'] !== 'retry') return job['start_after'] === was['start_after']
  // Everything here happens at one instant, which is also when it was taken.
  const waitS =
    (Date.parse(String(job['start_after'])) - Date.parse(String(was['started_on']))) / 1_000
  const delay = Number(was['retry_delay'])
  if (was['retry_backoff'] !== true) return waitS === delay
  const full = Math.max(delay, 1) * 2 ** Math.min(16, Number(was['retry_count']) + 1)
  const most = was['retry_delay_max'] === null ? Infinity : Number(was['retry_delay_max'])
  return waitS >= Math.min(most, full / 2) - 0.01 && waitS <= Math.min(most, full) + 0.01
}

describe('pg-boss is what it was when ours were held against it', () => {
  const FETCH = 'c05b94305ac80fdc'
  const COMPLETE = 'bcc5e41c25eecfc2'
  const FAIL = '55ffdf3137a87ce9'

  const digest = (text: string) =>
    createHash('sha256').update(text.replaceAll(/\s+/g, ' ').trim()).digest('hex').slice(0, 16)

  async function digestOf(act: (db: ReturnType<typeof asDb>) => Promise<unknown>): Promise<string> {
    const texts: string[] = []
    await trying((tx) =>
      act({
        executeSql: (text, values) => {
          texts.push(text)
          return asDb(tx).executeSql(text, values)
        },
      }).then(() => undefined),
    )
    return digest(texts.join(';'))
  }
  const attempt = { id: '01a20e26-367c-766a-a085-72e882269712', retryCount: 0 }

  it.each([
    ['fetch', 'claimSql.ts', FETCH, (db: ReturnType<typeof asDb>) => boss.fetch(THEIRS, { db })],
    [
      'complete',
      'settleWork.ts',
      COMPLETE,
      (db: ReturnType<typeof asDb>) => boss.complete(THEIRS, [attempt], {}, { db }),
    ],
    [
      'fail',
      'queue.ts',
      FAIL,
      (db: ReturnType<typeof asDb>) => boss.fail(THEIRS, [attempt], {}, { db }),
    ],
  ])('%s', async (what, file, expected, act) => {
    expect(
      await digestOf(act),
      `pg-boss's ${what} has changed: compare it with ${file}, then put its new digest here`,
    ).toBe(expected)
  })

  it('the table of its jobs', async () => {
    const found = await runtime.rows<{ column: string }>(
      `select attname || ' ' || format_type(atttypid, atttypmod) || case when attnotnull then ' not null' else '' end
         || coalesce(' default ' || pg_get_expr(adbin, adrelid), '') as "column"
       from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
       where attrelid = 'pgboss.job'::regclass and attnum > 0 and not attisdropped order by attname`,
    )
    const columns = found.map(({ column }) => column)
    expect(
      columns,
      "pg-boss's table has changed: see what that means for our statements in src/queue",
    ).toMatchInlineSnapshot(`
      [
        "blocked boolean not null default false",
        "blocking boolean not null default false",
        "completed_on timestamp with time zone",
        "created_on timestamp with time zone not null default now()",
        "data jsonb",
        "dead_letter text",
        "deletion_seconds integer not null default 604800",
        "expire_seconds integer not null default 900",
        "group_id text",
        "group_tier text",
        "heartbeat_on timestamp with time zone",
        "heartbeat_seconds integer",
        "id uuid not null default gen_random_uuid()",
        "keep_until timestamp with time zone not null default (now() + '336:00:00'::interval)",
        "name text not null",
        "output jsonb",
        "pending_dependencies integer not null default 0",
        "policy text",
        "priority integer not null default 0",
        "retry_backoff boolean not null default false",
        "retry_count integer not null default 0",
        "retry_delay integer not null default 0",
        "retry_delay_max integer",
        "retry_limit integer not null default 2",
        "singleton_key text",
        "singleton_on timestamp without time zone",
        "source_created_on timestamp with time zone",
        "source_id uuid",
        "source_name text",
        "source_output jsonb",
        "source_retry_count integer",
        "source_root_id uuid",
        "start_after timestamp with time zone not null default now()",
        "started_on timestamp with time zone",
        "state pgboss.job_state not null default 'created'::pgboss.job_state",
        "trace_context jsonb",
        "upsert_by_key boolean",
      ]
    `)
  })
})
