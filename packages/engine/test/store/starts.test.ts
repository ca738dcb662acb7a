// Not quick: draws what happens to starts.
import { waitFor } from '@roundsman/testing'
import fc from 'fast-check'
import { v7 as uuid } from 'uuid'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  countQueue,
  findEnqueuedAt,
  findJobRun,
  findWork,
  listJobRuns,
  listRecentRuns,
  listLanesInUse,
  measureQueue,
} from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { endExpiredRuns, readRound } from '../../src/liveness/rounds.ts'
import { rescueLostRuns } from '../../src/liveness/rescue.ts'
import { ADD_COUNTS_SQL } from '../../src/run/runs.ts'
import { createSettler, type Settler } from '../../src/run/settler.ts'
import { claimWork, settleClaims, type TakenWork } from '../../src/store/claimWork.ts'
import type { Connection } from '../../src/store/database.ts'
import { writeOutRuns, writeOutStarts } from '../../src/store/starts.ts'
import { asWorker } from '../asWorker.ts'
import { openTestQueue, type TestQueue } from '../openTestQueue.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'
import { WORK_LEFT } from '../readWorkStates.ts'

const retry = { limit: 5, delayMs: 1_000, maxDelayMs: 1_000 }
const plain = defineJob({ name: 'plain', description: '', payload: z.looseObject({}), retry })
const other = defineJob({ name: 'other', description: '', payload: z.looseObject({}), retry })
const jobs = [plain, other] as const
const ACTOR = { actor: 'ann', reason: 'a test' }

let runtime: TestRuntime
let queue: TestQueue
const settlers: Settler[] = []

beforeAll(async () => {
  runtime = await openTestRuntime(jobs)
  queue = await openTestQueue(runtime, jobs)
})

afterAll(async () => {
  await queue.close()
  await runtime.close()
})

beforeEach(async () => {
  await runtime.clear()
})

afterEach(() => {
  for (const settler of settlers.splice(0)) settler.stop()
})

const enqueue = (count = 1, job: (typeof jobs)[number] = plain) =>
  queue.client.enqueueMany(
    runtime.prisma,
    job,
    Array.from({ length: count }, (_, n) => ({ payload: { n } })),
  )

/**
 * Takes work as a worker that may start runs without writing them. `w1` lives all the time, others only while they take.
 */
async function start(
  limit = 10,
  { workerId = 'w1', names = ['plain'], mayStart = true } = {},
): Promise<TakenWork[]> {
  const { database } = runtime
  const requests = names.map((name) => ({
    claimId: uuid(),
    name,
    limit,
    exclusiveKey: null,
    expireSeconds: 120,
    mayStart,
  }))
  const claim = () =>
    claimWork(database, { workerId, requests, startedAt: new Date(), hasFreshRunIds: false })
  const { work } = await (workerId === 'w1' ? claim() : asWorker(database, workerId, claim))
  return work
}

function settlerOf(workerId = 'w1'): Settler {
  const { database, log } = runtime
  const settler = createSettler({ database, queue: queue.queue, workerId, log })
  settlers.push(settler)
  return settler
}

const ended = (taken: TakenWork, details: Record<string, number> | null = null) => ({
  ...taken,
  endedAt: new Date(),
  details,
  failure: null,
})
const failed = (taken: TakenWork) => ({
  ...taken,
  endedAt: new Date(),
  details: null,
  failure: { error: { code: 'broken', message: '' }, next: 'retry' as const },
})
const runs = () =>
  runtime.rows<{ id: string; status: string; attempt: number; errorCode: string | null }>(
    'select * from "JobRun" order by "id", "attempt"',
  )
const count = async (what: string) =>
  (await runtime.rows<{ n: number }>(`select count(*)::int as n from ${what}`))[0]!.n
const held = async () => [await count('"JobStart"'), await count('"JobClaim"')]
const rescue = (workerId = 'w1') => {
  const { database, log } = runtime
  return rescueLostRuns({ database, queue: queue.queue, workerId, log, now: () => new Date() })
}

/** Waits until the work has ended, or waits for a lock that somebody holds. */
async function untilOverOrBlocked(work: Promise<unknown>): Promise<void> {
  let isOver = false
  void work.finally(() => (isOver = true)).catch(() => undefined)
  await waitFor(
    async () =>
      isOver ||
      (
        await runtime.rows(
          `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        )
      ).length > 0,
  )
}

describe('plain first attempts', () => {
  it('start without being written, and say that they run', async () => {
    await enqueue(3)
    const work = await start()
    expect(work).toHaveLength(3)
    expect(await held()).toEqual([1, 0])
    expect(await count('"JobRun"')).toBe(0)
    expect(await count('pgboss.job')).toBe(0)
    expect(
      await runtime.rows(
        'select "id", "name", "status", "attempt", "workerId", "workId", "startedAt", "trigger" from "JobRunAll"',
      ),
    ).toEqual(
      work.map(({ run }) => ({
        id: run.id,
        name: 'plain',
        status: 'running',
        attempt: 1,
        workerId: 'w1',
        workId: run.workId,
        startedAt: run.startedAt,
        trigger: 'queue',
      })),
    )
    expect(work[0]).toMatchObject({
      isUnwritten: true,
      envelope: { trigger: 'queue', payload: { n: 0 } },
      run: { attempt: 1, retriesLeft: 5, dryRun: false, scheduledFor: null, actor: null },
    })
  })

  it('are written once, when they have succeeded', async () => {
    await enqueue(50)
    const work = await start(50)
    const settler = settlerOf()
    const outcomes = await Promise.all(
      work.map((taken, at) => settler.settle(ended(taken, at % 2 === 0 ? { at } : null))),
    )
    expect(outcomes).toEqual(
      work.map((_, at) => ({ kind: 'settled', details: at % 2 === 0 ? { at } : null })),
    )
    // A row that was never updated has no version before it.
    expect(await count(`"JobRun" where "status" = 'success' and xmax = 0`)).toBe(50)
    const [row] = await runtime.rows('select "createdAt" >= "startedAt" as "isLater" from "JobRun"')
    expect(row).toEqual({ isLater: true })
    await waitFor(async () => String(await held()) === '0,0')
    expect(await count('pgboss.job')).toBe(0)
  })

  it('hold their start until the last of them has ended', async () => {
    await enqueue(3)
    const [first, second, third] = await start()
    const settler = settlerOf()
    await settler.settle(ended(first!))
    await settler.settle(failed(second!))
    expect(await held()).toEqual([1, 1])
    expect(await runtime.rows(`select state::text from pgboss.job`)).toEqual([{ state: 'retry' }])
    await settler.settle(ended(third!))
    await waitFor(async () => String(await held()) === '0,0')
    expect((await runs()).map(({ errorCode }) => errorCode)).toEqual([null, 'broken', null])
  })
})

describe('what is written as it starts', () => {
  const startAfter = new Date(Date.now() - 60_000)
  it.each([
    ['has a unique key', { uniqueKey: 'a' }],
    ['has a priority', { priority: 1 }],
  ])('%s', async (_, options) => {
    await queue.client.enqueue(runtime.prisma, plain, {}, { startAfter, ...options })
    expect(await start()).toHaveLength(1)
    expect(await held()).toEqual([0, 1])
    expect(await runs()).toMatchObject([{ status: 'running' }])
  })

  it.each([
    ['was asked for by somebody', `data = data || '{"actor": "ann"}'`],
    ['is a dry run', `data = data || '{"dryRun": true}'`],
    ['has lost a worker', `data = data || '{"lost": 1}'`],
    ['was started before', `state = 'retry', started_on = now()`],
    ['has another number of retries than its queue', 'retry_limit = 7'],
    ['belongs to a group', `group_id = 'a'`],
    ['is no work of ours', `data = '{"a": 1}'`],
    [
      'has a large payload',
      `data = data || jsonb_build_object('trace', (
      select string_agg(gen_random_uuid()::text, '') from generate_series(1, 50)))`,
    ],
    [
      'has a large payload, of which little is stored',
      `data = jsonb_set(data, '{payload,text}', to_jsonb(repeat('a', 60_000)))`,
    ],
    ['has a pause of its own before its retries', 'retry_delay = retry_delay + 1_000'],
    ['has pauses that grow as its queue does not say', 'retry_backoff = not retry_backoff'],
    ['has another longest pause than its queue', 'retry_delay_max = 3_600'],
  ])('%s', async (_, change) => {
    await enqueue()
    await runtime.rows(`update pgboss.job set ${change}`)
    expect(await start()).toHaveLength(1)
    expect(await held()).toEqual([0, 1])
    expect(await runs()).toMatchObject([{ status: 'running' }])
  })

  it('goes beside what is not, in one claim', async () => {
    await enqueue(4)
    await runtime.rows(
      `update pgboss.job set priority = 1 where data #>> '{payload,n}' in ('0', '1')`,
    )
    const work = await start()
    expect(work.filter(({ isUnwritten }) => isUnwritten)).toHaveLength(2)
    expect(work).toHaveLength(4)
    expect(new Set(work.map(({ held: { id } }) => id)).size).toBe(1)
    expect(await held()).toEqual([1, 1])
    const settler = settlerOf()
    await Promise.all(work.map((taken) => settler.settle(ended(taken))))
    await waitFor(async () => String(await held()) === '0,0')
    expect(await count(`"JobRun" where "status" = 'success'`)).toBe(4)
    expect(await count('pgboss.job')).toBe(0)
  })

  it('keeps its own pause before its retries, whatever its queue says now', async () => {
    await enqueue()
    await runtime.rows('update pgboss.job set retry_delay = 1_000, retry_delay_max = 3_600')
    const [taken] = await start()
    await writeOutStarts(runtime.database, runtime.log, [taken!.held.id])
    await settlerOf().settle(failed(taken!))
    expect(
      await runtime.rows('select state::text, retry_delay, retry_delay_max from pgboss.job'),
    ).toEqual([{ state: 'retry', retry_delay: 1_000, retry_delay_max: 3_600 }])
  })

  it('has an id that a run has already', async () => {
    await enqueue()
    const [first] = await start()
    await settlerOf().settle(ended(first!))
    await runtime.rows(
      `insert into pgboss.job (id, name, data, retry_limit) values ($1, 'plain', '{"trigger": "queue", "payload": {}}', 5)`,
      [first!.run.id],
    )
    await expect(start()).rejects.toMatchObject({ kind: 'runId' })
  })

  it('is all, where it must be', async () => {
    await enqueue(2)
    await start(10, { mayStart: false })
    expect(await held()).toEqual([0, 1])
  })
})

describe('a start that is written out', () => {
  const volatile = [
    'id',
    'started_on',
    'heartbeat_on',
    'created_on',
    'start_after',
    'keep_until',
    'data',
  ]
  const workRow = async () =>
    (
      await runtime.rows(`select to_jsonb(job) - $1::text[] as row from pgboss.job job`, [volatile])
    )[0]
  const runRow = async () =>
    (
      await runtime.rows(
        `select to_jsonb(run) - array['id', 'workId', 'startedAt', 'createdAt'] as row from "JobRun" run`,
      )
    )[0]

  it('is as if it had been written as it started', async () => {
    await enqueue()
    await start(10, { mayStart: false })
    const asWritten = [await workRow(), await runRow()]
    await runtime.clear()
    await enqueue()
    const [before] = await runtime.rows('select id, data, created_on from pgboss.job')
    const [taken] = await start()
    await writeOutStarts(runtime.database, runtime.log, [taken!.held.id])
    expect([await workRow(), await runRow()]).toEqual(asWritten)
    expect(await runtime.rows('select id, data, created_on from pgboss.job')).toEqual([before])
    expect(await runtime.rows('select "id", "workerId", "runIds" from "JobClaim"')).toEqual([
      { id: taken!.held.id, workerId: 'w1', runIds: [taken!.run.id] },
    ])
    expect(await held()).toEqual([0, 1])
    // The worker does not know that the run was written out.
    expect(await settlerOf().settle(ended(taken!))).toMatchObject({ kind: 'settled' })
    await waitFor(async () => String(await held()) === '0,0')
    expect(await count('pgboss.job')).toBe(0)
  })

  it('is found when it is old, whoever holds it, and not sooner', async () => {
    await enqueue()
    await start(10, { workerId: 'w2' })
    const look = () => readRound(runtime.database, 'w1', [])
    expect((await look()).oldStarts).toEqual([])
    await runtime.rows(`update "JobStart" set "createdAt" = now() - interval '3 seconds'`)
    const { oldStarts } = await look()
    expect(oldStarts).toHaveLength(1)
    await writeOutStarts(runtime.database, runtime.log, oldStarts)
    expect(await held()).toEqual([0, 1])
  })

  it('is one of a few in a round, the oldest first, until all are', async () => {
    await enqueue(12)
    const ids: string[] = []
    for (let n = 0; n < 12; n++) ids.push((await start(1))[0]!.held.id)
    await runtime.rows(
      `update "JobStart" set "createdAt" = now() - interval '3 seconds' - interval '1 minute' * array_position($1::uuid[], "id")`,
      [ids],
    )
    const written: string[][] = []
    while ((await held())[0]! > 0) {
      const { oldStarts } = await readRound(runtime.database, 'w1', [])
      written.push([...oldStarts].toSorted())
      await writeOutStarts(runtime.database, runtime.log, oldStarts)
    }
    expect(written).toEqual([ids.slice(2).toSorted(), ids.slice(0, 2).toSorted()])
  })

  it('is written beside one that can not be', async () => {
    await enqueue(3)
    const ids: string[] = []
    for (let n = 0; n < 3; n++) ids.push((await start(1))[0]!.held.id)
    // Adding the retention to this date exceeds what PostgreSQL can hold.
    await runtime.rows(
      `update "JobStart" set "enqueuedAt" = array['294276-12-31'::timestamptz] where "id" = $1`,
      [ids[1]],
    )
    await writeOutStarts(runtime.database, runtime.log, ids)
    expect(await held()).toEqual([1, 2])
    expect(await runtime.rows('select "id" from "JobStart"')).toEqual([{ id: ids[1] }])
  })

  it('waits for nobody who has locked it', async () => {
    await enqueue()
    const [taken] = await start()
    await runtime.database.transaction(async (tx) => {
      await tx.query('select from "JobStart" for key share')
      await writeOutStarts(runtime.database, runtime.log, [taken!.held.id])
      expect(await held()).toEqual([1, 0])
    })
  })

  it('in part, unknown to its worker, ends with the details of each run all the same', async () => {
    await enqueue(3)
    const work = await start()
    const [{ held: its, run }] = work as [TakenWork]
    await writeOutRuns(runtime.database, [its.id], [run.id])
    const settler = settlerOf()
    const outcomes = await Promise.all(work.map((taken, n) => settler.settle(ended(taken, { n }))))
    expect(outcomes).toEqual([0, 1, 2].map((n) => ({ kind: 'settled', details: { n } })))
    expect(await count(`"JobRun" where "status" = 'success'`)).toBe(3)
    expect(await count('pgboss.job')).toBe(0)
  })

  it('ends as it has ended, also while somebody rebuilds the primary key', async () => {
    await enqueue(2)
    const work = await start()
    const [{ held: its, run }] = work as [TakenWork]
    await writeOutRuns(runtime.database, [its.id], [run.id])
    // What PostgreSQL calls the old index once `reindex concurrently` has exchanged it for the new one.
    await runtime.rows('alter index "JobRun_pkey" rename to "JobRun_pkey_ccold"')
    try {
      const settler = settlerOf()
      const outcomes = work.map((taken, n) => settler.settle(ended(taken, { n })))
      expect(await Promise.all(outcomes)).toEqual(
        [0, 1].map((n) => ({ kind: 'settled', details: { n } })),
      )
    } finally {
      await runtime.rows('alter index "JobRun_pkey_ccold" rename to "JobRun_pkey"')
    }
  })

  it('is written once by two who do it at the same time as it ends', async () => {
    await enqueue(200)
    const work = await start(200)
    const settler = settlerOf()
    const startIds = [work[0]!.held.id]
    await Promise.all([
      ...work.map((taken) => settler.settle(ended(taken))),
      writeOutStarts(runtime.database, runtime.log, startIds),
      writeOutRuns(
        runtime.database,
        startIds,
        work.slice(0, 50).map(({ run }) => run.id),
      ),
      writeOutStarts(runtime.database, runtime.log, startIds),
    ])
    expect(await count(`"JobRun" where "status" = 'success'`)).toBe(200)
    expect(await count('pgboss.job')).toBe(0)
    await waitFor(async () => String(await held()) === '0,0')
  })
})

describe('a worker that was taken for dead', () => {
  it('ends nothing more of what it had started', async () => {
    await enqueue(2)
    const work = await start(10, { workerId: 'gone' })
    expect(await rescue()).toHaveLength(2)
    expect(await held()).toEqual([0, 0])
    expect(await runs()).toMatchObject([
      { status: 'failed', errorCode: 'worker_lost' },
      { status: 'failed', errorCode: 'worker_lost' },
    ])
    expect(
      await runtime.rows('select state::text, retry_count, retry_limit from pgboss.job'),
    ).toEqual([1, 2].map(() => ({ state: 'retry', retry_count: 0, retry_limit: 6 })))
    const before = await runs()
    const settler = settlerOf('gone')
    expect(await settler.settle(ended(work[0]!))).toEqual({ kind: 'lost' })
    expect(await settler.settle(failed(work[1]!))).toEqual({ kind: 'lost' })
    expect(await runs()).toEqual(before)

    // The same when nobody remembers the run any more.
    await runtime.rows('delete from "JobRun"')
    expect(
      await settlerOf('gone').settle(ended({ ...work[0]!, held: { ...work[0]!.held } })),
    ).toEqual({ kind: 'lost' })
    expect(await runs()).toEqual([])
  })

  it('commits no batch of what it had started', async () => {
    await enqueue()
    const [taken] = await start(10, { workerId: 'gone' })
    await rescue()
    await writeOutRuns(runtime.database, [taken!.held.id], [taken!.run.id])
    const owned = await runtime.rows(ADD_COUNTS_SQL, [taken!.run.id, 'gone', '{"batches": 1}', '0'])
    expect(owned).toEqual([])
  })

  it('has ended what it has ended, and lost the rest', async () => {
    await enqueue(6)
    const work = await start(10, { workerId: 'gone' })
    const settler = settlerOf('gone')
    await Promise.all(work.slice(0, 4).map((taken) => settler.settle(ended(taken))))
    expect((await rescue()).map(({ id }) => id).toSorted()).toEqual(
      work
        .slice(4)
        .map(({ run }) => run.id)
        .toSorted(),
    )
    expect(await count('pgboss.job')).toBe(2)
    expect(await held()).toEqual([0, 0])
  })
})

describe('a claim that somebody fills, writing a start out,', () => {
  /** Enqueues three pieces, of which one needs its run written at its start, so that there is a claim. */
  async function enqueueMixed(): Promise<void> {
    await enqueue(2)
    await queue.client.enqueue(runtime.prisma, plain, {}, { priority: 1 })
  }

  it('is not let go by a rescue that saw it before', async () => {
    const { database } = runtime
    await enqueueMixed()
    const work = await start(10, { workerId: 'gone' })
    expect(await held()).toEqual([1, 1])
    let rescuing: Promise<unknown> = Promise.resolve()
    await database.transaction(async (tx) => {
      await writeOutRuns(tx, [work[0]!.held.id], unwrittenIds(work))
      rescuing = rescue()
      await untilOverOrBlocked(rescuing)
    })
    await rescuing
    // The next rescue ends what the first could not see.
    await rescue()
    expect((await runs()).map(({ status, errorCode }) => [status, errorCode])).toEqual(
      work.map(() => ['failed', 'worker_lost']),
    )
    expect(await count(`${WORK_LEFT} where state = 'retry'`)).toBe(3)
    expect(await held()).toEqual([0, 0])
  })

  it('is found whole by its worker, whose answer never came', async () => {
    const { database } = runtime
    await enqueueMixed()
    const requests = [
      { claimId: uuid(), name: 'plain', limit: 10, exclusiveKey: null, mayStart: true },
    ]
    const { work } = await claimWork(database, {
      workerId: 'w1',
      requests,
      startedAt: new Date(),
      hasFreshRunIds: false,
    })
    const writeOneOut = (connection: Connection) =>
      writeOutRuns(connection, [requests[0]!.claimId], unwrittenIds(work).slice(1))
    await writeOneOut(database)
    let finding: Promise<TakenWork[]> = Promise.resolve([])
    await database.transaction(async (tx) => {
      // The other start as well: it finds the run written, and holds nothing but the start.
      await writeOneOut(tx)
      finding = settleClaims(database, 'w1', requests)
      await untilOverOrBlocked(finding)
    })
    expect(idsOf(await finding)).toEqual(idsOf(work))
    expect(await held()).toEqual([0, 1])
  })

  const idsOf = (work: readonly TakenWork[]) => work.map(({ run }) => run.id).toSorted()
  const unwrittenIds = (work: readonly TakenWork[]) =>
    idsOf(work.filter(({ isUnwritten }) => isUnwritten))
})

describe('a wish to cancel one run, in a transaction that stays open,', () => {
  const OPEN = { timeout: 120_000 }
  /** Three runs were started together. It cancels the first, and passes the others to `work`. */
  async function cancelOne(work: (others: TakenWork[]) => Promise<void>) {
    await enqueue(3)
    const [cancelled, ...others] = await start()
    const cancelling = runtime.prisma.$transaction(async (tx) => {
      const answer = await queue.client.cancelRun(tx, cancelled!.run.id, ACTOR)
      await work(others)
      return answer
    }, OPEN)
    return { cancelled: cancelled!, cancelling }
  }
  const wishes = () =>
    runtime.rows(`select "cancelRequestedBy" as by from "JobRun" where "status" = 'running'`)

  it('lets the others of its start end, and write their first batch', OPEN, async () => {
    const { cancelled, cancelling } = await cancelOne(async ([second, third]) => {
      void settlerOf().settle(ended(second!))
      await waitFor(async () => (await count(`"JobRun" where "status" = 'success'`)) === 1)
      await writeOutRuns(runtime.database, [third!.held.id], [third!.run.id])
      await settlerOf().settle(ended({ ...third!, isUnwritten: false }))
    })
    expect(await cancelling).toBe('requested')
    expect(await wishes()).toEqual([{ by: 'ann' }])
    await settlerOf().settle(ended(cancelled))
    await waitFor(async () => String(await held()) === '0,0')
    expect(await count(`"JobRun" where "status" = 'success'`)).toBe(3)
    expect(await count('pgboss.job')).toBe(0)
  })

  it.each(['RepeatableRead', 'Serializable'] as const)(
    'reaches its run, whatever was read before (%s)',
    async (isolationLevel) => {
      await enqueue()
      const [taken] = await start()
      const answer = await runtime.prisma.$transaction(
        async (tx) => {
          await tx.$queryRaw`select count(*)::int from "JobRun"`
          return await queue.client.cancelRun(tx, taken!.run.id, ACTOR)
        },
        { ...OPEN, isolationLevel },
      )
      expect(answer).toBe('requested')
      expect(await wishes()).toEqual([{ by: 'ann' }])
    },
  )

  it('and is taken back, leaves its run under way', async () => {
    const { cancelled, cancelling } = await cancelOne(async () => {
      throw new Error('taken back')
    })
    await expect(cancelling).rejects.toThrow('taken back')
    expect(await wishes()).toEqual([{ by: null }])
    expect(await settlerOf().settle(ended(cancelled))).toMatchObject({ kind: 'settled' })
    expect(await count(`"JobRun" where "status" = 'success'`)).toBe(1)
  })
})

describe('the version before', () => {
  // The statement of the version before, which knows no starts.
  const OLD_LOST_CLAIMS = `
    with holder as materialized (
      select distinct "workerId" as id from "JobClaim" where "workerId" <> $1
    ), gone as materialized (
      select holder.id from holder left join "JobWorker" worker on worker."id" = holder.id
      where not case when worker."liveness" = 'heartbeat'
        then worker."heartbeatAt" >= statement_timestamp() - interval '30000 milliseconds'
        else not pg_try_advisory_xact_lock_shared(hashtextextended(holder.id, 0)) end
    )
    select claim."id", claim."name" from "JobClaim" claim join gone on gone.id = claim."workerId" limit 500`
  const OLD_LET_GO = `
    delete from "JobClaim" where "id" = any($1) and "id" not in (
      select claim."id" from "JobClaim" claim cross join unnest(claim."runIds") held(id)
      join "JobRun" run on run."id" = held.id and run."status" = 'running'
      where claim."id" = any($1)
    )`
  const oldRescueFinds = async () => {
    const lost = await runtime.rows<{ id: string }>(OLD_LOST_CLAIMS, ['old'])
    await runtime.rows(OLD_LET_GO, [lost.map(({ id }) => id)])
    return lost.length
  }

  it('lets nothing go that a worker of this one has started', async () => {
    await enqueue(5)
    const work = await start(10, { workerId: 'gone' })
    expect(await oldRescueFinds()).toBe(0)
    expect(await held()).toEqual([1, 0])
    await writeOutRuns(runtime.database, [work[0]!.held.id], [work[0]!.run.id])
    expect(await oldRescueFinds()).toBe(1)
    // It finds what is written, and its run is still to be ended.
    expect(await held()).toEqual([1, 1])
    expect(await rescue()).toHaveLength(5)
    expect(await count(`${WORK_LEFT} where state = 'retry'`)).toBe(5)
  })

  it('finds all that was started written out, once one of its workers has signed up, and nothing is started then', async () => {
    await enqueue(6)
    await start(2, { workerId: 'gone' })
    await start(2)
    expect(await held()).toEqual([2, 0])
    // The version before signs up without saying that it reads starts.
    const signUp = `insert into "JobWorker" ("id", "liveness", "startedAt") values ($1, 'lock', now())`
    await runtime.rows(signUp, ['old'])
    expect(await held()).toEqual([0, 2])
    expect((await runs()).map(({ status }) => status)).toEqual(Array(4).fill('running'))
    expect(await oldRescueFinds()).toBe(1)
    await start(2)
    expect(await held()).toEqual([0, 3])
    await runtime.rows(`delete from "JobWorker" where "id" = 'old'`)
    await enqueue(1)
    await start(2)
    expect(await held()).toEqual([1, 3])
  })

  it('waits with its sign-up for claims that are under way', async () => {
    const { database } = runtime
    await enqueue(2)
    const requests = [
      { claimId: uuid(), name: 'plain', limit: 10, exclusiveKey: null, mayStart: true },
    ]
    let signingUp: Promise<unknown> = Promise.resolve()
    await database.transaction(async (tx) => {
      await claimWork(tx, {
        workerId: 'w1',
        requests,
        startedAt: new Date(),
        hasFreshRunIds: false,
      })
      signingUp = runtime.rows(
        `insert into "JobWorker" ("id", "liveness", "startedAt") values ('old', 'lock', now())`,
      )
      await waitFor(
        async () =>
          (
            await runtime.rows(
              `select from pg_locks where relation = '"JobStart"'::regclass and not granted
                 and database = (select oid from pg_database where datname = current_database())`,
            )
          ).length > 0,
      )
    })
    await signingUp
    expect(await held()).toEqual([0, 1])
    await runtime.rows(`delete from "JobWorker" where "id" = 'old'`)
  })
})

describe('a claim whose answer never came', () => {
  it('is found, written, and can not be taken any more', async () => {
    const { database } = runtime
    await enqueue(3)
    const requests = [
      { claimId: uuid(), name: 'plain', limit: 10, exclusiveKey: null, mayStart: true },
    ]
    const claim = () =>
      claimWork(database, {
        workerId: 'w1',
        requests,
        startedAt: new Date(),
        hasFreshRunIds: false,
      })
    const { work } = await claim()
    const found = await settleClaims(database, 'w1', requests)
    expect(found.map(({ run }) => run.id).toSorted()).toEqual(
      work.map(({ run }) => run.id).toSorted(),
    )
    expect(found.some(({ isUnwritten }) => isUnwritten)).toBe(false)
    const settler = settlerOf()
    await Promise.all(found.map((taken) => settler.settle(ended(taken))))
    expect(await count(`"JobRun" where "status" = 'success'`)).toBe(3)
  })

  it('that had not taken hold takes none', async () => {
    const { database } = runtime
    const requests = [
      { claimId: uuid(), name: 'plain', limit: 10, exclusiveKey: null, mayStart: true },
    ]
    expect(await settleClaims(database, 'w1', requests)).toEqual([])
    await enqueue(3)
    const late = claimWork(database, {
      workerId: 'w1',
      requests,
      startedAt: new Date(),
      hasFreshRunIds: false,
    })
    await expect(late).rejects.toMatchObject({ code: '23505' })
    expect(await count('pgboss.job')).toBe(3)
  })
})

describe('whoever looks', () => {
  it('sees a run that is not written as one that runs', async () => {
    const { reader } = queue.client
    await enqueue(2)
    const [one] = await start(1)
    const { id } = one!.run
    expect(await findJobRun(reader, id)).toMatchObject({ id, status: 'running', attempt: 1 })
    for (const filter of [{}, { status: 'running' }, { name: 'plain' }, { workId: id }] as const) {
      const { runs: listed } = await listJobRuns(reader, { limit: 5, ...filter })
      expect(listed.map((run) => run.id)).toEqual([id])
    }
    for (const filter of [
      { status: 'success' },
      { status: 'failed' },
      { name: 'other' },
    ] as const) {
      expect((await listJobRuns(reader, { limit: 5, ...filter })).runs).toEqual([])
    }
    expect(await listLanesInUse(reader)).toMatchObject([
      { oldestRunId: id, oldestLabel: null, count: 1, name: 'plain', workerId: 'w1' },
    ])
    expect(await listRecentRuns(reader, ['plain'], { limit: 5 })).toMatchObject([{ id }])
    expect(await findWork(reader, plain, id)).toEqual({ kind: 'running' })
    expect(await findEnqueuedAt(reader, 'plain', id)).not.toBeNull()
    expect(await countQueue(reader, ['plain'])).toMatchObject([{ waiting: 1, active: 1 }])
    const measured = await measureQueue(reader, ['plain'])
    expect(measured.find(({ state }) => state === 'active')).toMatchObject({ count: 1 })

    await settlerOf().settle(ended(one!))
    expect(await findWork(reader, plain, id)).toEqual({ kind: 'completed' })
    expect(await listLanesInUse(reader)).toEqual([])
    expect(await countQueue(reader, ['plain'])).toMatchObject([{ waiting: 1, active: 0 }])
  })

  it('sees each once, whatever page it is on', async () => {
    await enqueue(30)
    const settler = settlerOf()
    for (const taken of await start(10)) await settler.settle(ended(taken))
    const [written] = await start(10)
    await writeOutRuns(runtime.database, [written!.held.id], [written!.run.id])
    await start(10)
    const seen: string[] = []
    let after: { at: string; id: string } | undefined
    do {
      const { runs: listed, next } = await listJobRuns(queue.client.reader, { limit: 7, after })
      seen.push(...listed.map(({ id }) => id))
      after = next ?? undefined
    } while (after)
    expect(seen).toHaveLength(30)
    expect(new Set(seen).size).toBe(30)
  })

  it('can have a run stopped that is not written', async () => {
    await enqueue(2)
    const [one] = await start()
    expect(await queue.client.cancelRun(runtime.prisma, one!.run.id, ACTOR)).toBe('requested')
    expect(
      await runtime.rows(
        'select "id", "status", "cancelRequestedBy" as by, "reason" from "JobRun"',
      ),
    ).toEqual([{ id: one!.run.id, status: 'running', by: 'ann', reason: 'a test' }])
    expect(await held()).toEqual([1, 1])
  })
})

describe('whatever happens in whatever order', () => {
  const STEPS = ['claim', 'batch', 'end', 'fail', 'writeOut', 'round', 'die', 'expire'] as const

  it(
    'each attempt gets one row that has ended, and each piece is done once',
    { timeout: 120_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.nat(7)), { minLength: 5, maxLength: 40 }),
          async (steps) => {
            await runtime.clear()
            await enqueue(12)
            let generation = 0
            // Workers that died still hold what they took, and try to go on.
            let open: { workerId: string; taken: TakenWork; settler: Settler }[] = []
            const settlerBy = new Map<string, Settler>()
            const workerId = () => `worker ${generation}`
            const under = <Value>(work: () => Promise<Value>) =>
              asWorker(runtime.database, workerId(), work)
            const pick = (n: number) => open[n % Math.max(1, open.length)]
            for (const [step, n] of steps) {
              const one = pick(n)
              switch (step) {
                case 'claim': {
                  await runtime.rows(
                    `update pgboss.job set start_after = now() where state = 'retry'`,
                  )
                  const settler = settlerBy.get(workerId()) ?? settlerOf(workerId())
                  settlerBy.set(workerId(), settler)
                  for (const taken of await start(1 + n, { workerId: workerId() }))
                    open.push({ workerId: workerId(), taken, settler })
                  break
                }
                case 'batch': {
                  if (!one) break
                  const { run, held: by } = one.taken
                  await writeOutRuns(runtime.database, [by.id], [run.id])
                  const values = [run.id, one.workerId, '{"batches": 1}', '0']
                  await runtime.rows(ADD_COUNTS_SQL, values)
                  break
                }
                case 'end':
                case 'fail': {
                  if (!one) break
                  open = open.filter((each) => each !== one)
                  await one.settler.settle(step === 'end' ? ended(one.taken) : failed(one.taken))
                  break
                }
                case 'writeOut':
                  if (one) await writeOutStarts(runtime.database, runtime.log, [one.taken.held.id])
                  break
                case 'round':
                  await under(() => rescue(workerId()))
                  break
                case 'die':
                  generation++
                  break
                case 'expire': {
                  if (!one) break
                  // The first attempt only: a later one has another id.
                  const { name, id } = one.taken.run
                  await writeOutStarts(runtime.database, runtime.log, [one.taken.held.id])
                  await runtime.rows(
                    `update pgboss.job set state = 'retry' where id = $1 and name = $2 and state = 'active' and retry_count = 0`,
                    [id, name],
                  )
                  await runtime.rows(
                    `update "JobClaim" set "createdAt" = now() - interval '1 hour' where $1 = any("runIds")`,
                    [id],
                  )
                  const { database, log } = runtime
                  await endExpiredRuns({ database, log, now: () => new Date() })
                  break
                }
                default:
                  step satisfies never
              }
            }
            // The last workers end what they have, and then all die.
            for (const { settler, taken } of open) await settler.settle(ended(taken))
            generation++
            for (let rounds = 0; rounds < 100; rounds++) {
              await under(() => rescue(workerId()))
              await runtime.rows(
                `update pgboss.job set start_after = now(), retry_limit = 100
               where state in ('retry', 'created')`,
              )
              await runtime.rows(
                `update pgboss.job set state = 'retry', retry_limit = 100, completed_on = null where state = 'failed'`,
              )
              const settler = settlerOf(workerId())
              const work = await start(20, { workerId: workerId() })
              for (const taken of work) await settler.settle(ended(taken))
              if ((await count(WORK_LEFT)) === 0) break
            }
            expect(await count(WORK_LEFT)).toBe(0)
            await waitFor(async () => String(await held()) === '0,0')
            expect(await count(`"JobRun" where "status" = 'running'`)).toBe(0)
            expect(
              await runtime.rows(
                `select "workId" from "JobRun" group by 1, "attempt" having count(*) > 1 limit 5`,
              ),
            ).toEqual([])
            const done = await runtime.rows<{ n: number }>(
              `select count(*)::int as n from "JobRun" where "status" = 'success' group by "workId"`,
            )
            expect(done.map(({ n }) => n)).toEqual(Array.from({ length: 12 }, () => 1))
          },
        ),
        { numRuns: 12 },
      )
    },
  )
})
