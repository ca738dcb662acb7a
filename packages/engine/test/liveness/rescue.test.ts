// Not quick: loses hundreds of runs.
import { waitFor } from '@roundsman/testing'
import pg from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Logger } from 'pino'
import { defineJob, type RunContext } from '../../src/index.ts'
import type { JobsClient } from '../../src/client.ts'
import { createQueue, type Queue } from '../../src/store/queue.ts'
import { createWaker } from '../../src/store/waker.ts'
import { createSession, type Session } from '../../src/liveness/session.ts'
import { runOnce } from '../../src/worker.ts'
import { rescueLostRuns } from '../../src/liveness/rescue.ts'
import { findLostClaims } from '../../src/liveness/whoIsLost.ts'
import { claimWork } from '../../src/store/claimWork.ts'
import { asWorker } from '../asWorker.ts'
import { drip, dripHandler, EFFECTS } from '../fixtures/drip.ts'
import type { TestRuntime } from '../openTestRuntime.ts'
import { useDrip, type DripRun } from './useDrip.ts'

const other = defineJob({ name: 'other', description: '' })

interface Work {
  state: string
  data: { lost?: number; lostAlone?: number }
  retryLimit: number
  retryCount: number
  dueInS: number
}

const drips = useDrip()
const { runs, enqueue, effectsOf, isUnderWay, startWorker } = drips
let runtime: TestRuntime
let client: JobsClient
beforeAll(() => void ({ runtime, client } = drips))

describe('a worker that lives', () => {
  it('whose run was taken over can commit no further batch and can not end it', async () => {
    await startWorker()
    await enqueue()
    await waitFor(isUnderWay)
    const [run] = await runs()
    const error = JSON.stringify({ error: { code: 'worker_lost', message: 'by the test' } })
    const [ended] = await runtime.rows<DripRun>(
      `update "JobRun" set "status" = 'failed', "errorCode" = 'worker_lost', "endedAt" = now(),
         "details" = "details" || $1 returning *`,
      [error],
    )

    await waitFor(() =>
      runtime.lines.some(({ msg }) => msg === 'job run lost: another worker has ended it'),
    )
    expect(await effectsOf(run!.id)).toBe(ended!.details!.effects)
    expect(await runs()).toMatchObject([{ status: 'failed', details: ended!.details }])
  })
})

describe('rescueLostRuns', () => {
  /** More than one rescue takes. */
  const LOST_RUNS = 600
  let session: Session
  let queue: Queue

  beforeEach(async () => {
    const { url, database, log } = runtime
    session = createSession({ url, database, workerId: 'rescuer', log })
    await session.start()
    queue = createQueue({ database, waker: createWaker(database, log), log })
    await queue.start([drip])
  })

  afterEach(async () => {
    await queue.stop()
    await session.stop()
  })

  /** Takes so many runs with one claim, for a worker that is gone. */
  async function loseRuns(count: number): Promise<void> {
    const items = Array.from({ length: count }, () => ({ payload: {} }))
    await client.enqueueMany(runtime.prisma, drip, items)
    await takeAndVanish({ limit: count, hasFreshRunIds: false })
  }

  const takeAndVanish = ({ limit, hasFreshRunIds }: { limit: number; hasFreshRunIds: boolean }) =>
    asWorker(runtime.database, 'gone', () =>
      claimWork(runtime.database, {
        workerId: 'gone',
        requests: [{ claimId: crypto.randomUUID(), name: 'drip', limit, exclusiveKey: null }],
        startedAt: new Date(),
        hasFreshRunIds,
      }),
    )

  const rescue = () =>
    rescueLostRuns({
      database: runtime.database,
      queue,
      workerId: 'rescuer',
      log: runtime.log,
      now: () => new Date(),
    })
  const states = () =>
    runtime.rows<{ status: string; state: string; n: number }>(
      `select run."status", job.state::text, count(*)::int n
       from "JobRun" run join pgboss.job job on job.id = run."workId"
       group by 1, 2 order by 1`,
    )

  it('gives hundreds back at once, each by one of those that try', async () => {
    await loseRuns(LOST_RUNS)
    const rescued = await Promise.all([rescue(), rescue(), rescue()])
    rescued.push(await rescue())

    expect(new Set(rescued.flat().map(({ id }) => id)).size).toBe(LOST_RUNS)
    expect(rescued.flat()).toHaveLength(LOST_RUNS)
    expect(await states()).toEqual([{ status: 'failed', state: 'retry', n: LOST_RUNS }])
  })

  describe('while a transaction of the host', () => {
    let foreign: pg.Client
    beforeEach(async () => {
      foreign = new pg.Client({ connectionString: runtime.url })
      await foreign.connect()
      await foreign.query('begin')
    })
    afterEach(() => foreign.end())

    it.each([
      ['runs', 'select from "JobRun" order by "id" limit 550 for update'],
      [
        'the work',
        'select from pgboss.job where id in (select "workId" from "JobRun" order by "id" limit 550) for update',
      ],
    ])(
      'has locked %s of more than one rescue takes, the others are rescued',
      async (_what, sql) => {
        await loseRuns(LOST_RUNS)
        await foreign.query(sql)
        expect(await rescue()).toHaveLength(LOST_RUNS - 550)
        await foreign.query('rollback')
        expect((await rescue()).length + (await rescue()).length).toBe(550)
      },
    )

    it('has locked the queue of lost work, that of other queues is rescued before', async () => {
      const others = await enqueueOthers(3)
      await loseRuns(LOST_RUNS)
      await foreign.query(`select from pgboss.queue where name = 'drip' for update`)
      const rescued = await rescue()
      expect(new Set(rescued.map(({ workId }) => workId))).toEqual(new Set(others))
      expect(runtime.lines.filter(({ msg }) => msg === 'rescuing a job run failed')).toEqual([])
      await foreign.query('rollback')
      expect(await rescue()).toHaveLength(500)
    })
  })

  /** Has a worker that is gone take work of another job. */
  async function enqueueOthers(count: number): Promise<string[]> {
    await queue.start([other])
    for (let n = 0; n < count; n++)
      await runtime.prisma.$transaction((tx) => client.enqueue(tx, other, {}))
    const work = await asWorker(runtime.database, 'gone', () =>
      claimWork(runtime.database, {
        workerId: 'gone',
        requests: [
          { claimId: crypto.randomUUID(), name: 'other', limit: count, exclusiveKey: null },
        ],
        startedAt: new Date(),
        hasFreshRunIds: false,
      }),
    )
    return work.work.map(({ run }) => run.workId as string)
  }

  it('leaves a run as it is that has ended since it was found', async () => {
    await loseRuns(3)
    const [late] = await runs()
    const rescued = await rescueLostRuns({
      database: {
        ...runtime.database,
        async transaction(work) {
          await runtime.rows(
            `update "JobRun" set "status" = 'success', "endedAt" = now() where "id" = $1`,
            [late!.id],
          )
          return await runtime.database.transaction(work)
        },
      },
      queue,
      workerId: 'rescuer',
      log: runtime.log,
      now: () => new Date(),
    })
    expect(rescued).toHaveLength(2)
    expect(rescued.map(({ id }) => id)).not.toContain(late!.id)
    expect((await runs()).find(({ id }) => id === late!.id)).toMatchObject({ status: 'success' })
  })

  const workOf = async (workId: string) =>
    (
      await runtime.rows<Work>(
        `select state::text, data, retry_limit as "retryLimit", retry_count as "retryCount",
           -- From the end of the lost run, which the rescue writes when it gives the work back.
          round(extract(epoch from start_after - (
            select max("endedAt") from "JobRun" where "workId" = job.id
          )))::int as "dueInS"
         from pgboss.job where id = $1`,
        [workId],
      )
    )[0]!

  /** Takes the work again for a worker that is gone, and has it rescued. */
  async function loseAgain(workId: string, { isAlone = false, hasProgress = false } = {}) {
    await runtime.rows('update pgboss.job set start_after = now() where id = $1', [workId])
    await takeAndVanish({ limit: 1, hasFreshRunIds: true })
    await runtime.rows('update "JobClaim" set "isAlone" = $1', [isAlone])
    if (hasProgress) {
      await runtime.rows(`update "JobRun" set "batchMarks" = '[]' where "status" = 'running'`)
    }
    expect(await rescue()).toMatchObject([{ workId, wasAlone: isAlone }])
    return await workOf(workId)
  }

  async function loseOnce(): Promise<string> {
    await loseRuns(1)
    await rescue()
    return (await runs())[0]!.workId
  }

  it('gives work back at once that has lost one worker, and ever later what has lost several', async () => {
    const id = await loseOnce()
    expect(await workOf(id)).toMatchObject({ state: 'retry', dueInS: 0, data: { lost: 1 } })
    const dueInS: number[] = []
    for (let losses = 2; losses <= 12; losses++) {
      const work = await loseAgain(id)
      expect(work).toMatchObject({ state: 'retry', data: { lost: losses } })
      expect(work.data).not.toHaveProperty('lostAlone')
      dueInS.push(work.dueInS)
    }
    expect(dueInS).toEqual([1, 4, 16, 60, 60, 60, 60, 60, 60, 60, 60])
  })

  it('never gives up for losses beside others, whatever its attempt is, and they cost it no retry', async () => {
    const id = await loseOnce()
    await runtime.rows('update pgboss.job set retry_count = 24, retry_limit = 58 where id = $1', [
      id,
    ])
    for (let losses = 0; losses < 30; losses++) {
      const work = await loseAgain(id)
      expect(work.state).toBe('retry')
      expect(work.retryLimit - work.retryCount).toBe(58 - 24)
    }
  })

  it('gives up what has lost five workers while it ran alone', async () => {
    const id = await loseOnce()
    for (let losses = 1; losses < 5; losses++) {
      const { state, data } = await loseAgain(id, { isAlone: true })
      expect({ state, data }).toMatchObject({ state: 'retry', data: { lostAlone: losses } })
    }
    expect(await loseAgain(id, { isAlone: true })).toMatchObject({
      state: 'failed',
      data: { lost: 6, lostAlone: 5 },
    })
    expect(await runtime.rows('select from "JobClaim"')).toEqual([])
  })

  it('has more patience with what gets on, batch by batch', async () => {
    const id = await loseOnce()
    const alone = { isAlone: true, hasProgress: true }
    for (let losses = 1; losses < 25; losses++) {
      expect(await loseAgain(id, alone)).toMatchObject({ state: 'retry' })
    }
    expect(await loseAgain(id, alone)).toMatchObject({ state: 'failed', data: { lostAlone: 25 } })
  })

  it("takes no worker's own runs from it, not even if its lock is gone", async () => {
    await loseRuns(3)
    expect(await findLostClaims(runtime.database, 'gone')).toEqual([])
    expect(await findLostClaims(runtime.database, 'rescuer')).toHaveLength(1)
  })

  const waitsForLong = async () =>
    (
      await runtime.rows(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
           and now() - query_start > interval '1200 milliseconds'`,
      )
    ).length > 0

  it('passes over work that somebody has locked, and never makes that transaction a deadlock', async () => {
    await loseRuns(10)
    const work = await runtime.rows<{ id: string }>('select id from pgboss.job order by id')
    const lockWork = 'select from pgboss.job where id = $1 for update'
    const foreign = new pg.Client({ connectionString: runtime.url })
    await foreign.connect()
    try {
      await foreign.query('begin')
      await foreign.query(lockWork, [work[5]!.id])
      let isOver = false
      const rescued = rescue().finally(() => (isOver = true))
      // Whoever waits for longer than a second has looked for a deadlock, and will not look again.
      await waitFor(async () => isOver || (await waitsForLong()), {
        message: 'the rescue is over, or waits',
      })
      for (const { id } of work) await foreign.query(lockWork, [id])
      await foreign.query('commit')
      expect(await rescued).toHaveLength(9)
      expect(await rescue()).toMatchObject([{ workId: work[5]!.id }])
    } finally {
      await foreign.end()
    }
  })

  it('leaves out one that the database refuses to end', async () => {
    await loseRuns(LOST_RUNS)
    const [refused] = await runs()
    await runtime.rows(`
      create function refuse() returns trigger language plpgsql as $$ begin raise 'not this one'; end $$;
      create trigger refuse before update on "JobRun" for each row
      when (old."id" = '${refused!.id}') execute function refuse()`)
    try {
      while ((await rescue()).length > 0);
      expect(await states()).toEqual([
        { status: 'running', state: 'active', n: 1 },
        { status: 'failed', state: 'retry', n: LOST_RUNS - 1 },
      ])
      expect(runtime.lines).toContainEqual(
        expect.objectContaining({ msg: 'rescuing a job run failed', runId: refused!.id }),
      )
    } finally {
      await runtime.rows('drop trigger refuse on "JobRun"; drop function refuse')
    }
    // It was still held, so that the next round found it. Now nothing is held.
    expect(await rescue()).toMatchObject([{ id: refused!.id }])
    expect(await runtime.rows('select from "JobClaim"')).toEqual([])
  })
})

describe('runOnce', () => {
  const once = (options: { dryRun?: boolean } = {}) =>
    runOnce({
      schema: 'public',
      databaseUrl: runtime.url,
      client: runtime.prisma,
      job: drip,
      handler: dripHandler,
      log: runtime.log,
      ...options,
    })

  it('runs without a worker and records who asked', async () => {
    const result = await runOnce({
      schema: 'public',
      databaseUrl: runtime.url,
      client: runtime.prisma,
      job: drip,
      handler: dripHandler,
      actor: 'somebody',
      log: runtime.log,
    })

    expect(result).toMatchObject({
      kind: 'ended',
      run: { status: 'success', details: { effects: EFFECTS, batches: EFFECTS } },
    })
    expect(await runs()).toMatchObject([{ trigger: 'cli', actor: 'somebody', status: 'success' }])
  })

  it('comes to its end with a logger of which every line fails, and a clock that tells no time', async () => {
    const fail = (): never => {
      throw new Error('no room for logs')
    }
    const log = { info: fail, warn: fail, error: fail, child: fail } as unknown as Logger
    const result = await runOnce({
      schema: 'public',
      databaseUrl: runtime.url,
      client: runtime.prisma,
      job: drip,
      handler: async (context: RunContext<unknown, unknown>) => context.log.info('a line'),
      log,
      now: () => new Date(Number.NaN),
    })
    expect(result).toMatchObject({ kind: 'ended', run: { status: 'success' } })
    expect(await runs()).toMatchObject([{ status: 'success', endedAt: expect.any(Date) }])
  })

  it('a dry run counts, changes nothing and is recorded as one', async () => {
    expect(await once({ dryRun: true })).toMatchObject({
      run: { status: 'success', dryRun: true, details: { effects: EFFECTS } },
    })
    expect(await runtime.rows('select from "Effect"')).toHaveLength(0)
    expect(await runs()).toMatchObject([{ dryRun: true, status: 'success' }])
  })
})
