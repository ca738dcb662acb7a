// Not quick: loses hundreds of runs.
import { waitFor } from '@roundsman/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Logger } from 'pino'
import { defineJob, type RunContext } from '../../src/index.ts'
import { createSession, type Session } from '../../src/liveness/session.ts'
import { runOnce } from '../../src/worker.ts'
import { rescueLostRuns } from '../../src/liveness/rescue.ts'
import { findLostClaims } from '../../src/queue/lostClaims.ts'
import { claimWork, readBesideClaim } from '../../src/queue/claimWork.ts'
import type { Taken } from '../../src/queue/taken.ts'
import { placeDue } from '../../src/queue/looks.ts'
import { recordRunning } from '../../src/run/runs.ts'
import { asWorker } from '../asWorker.ts'
import { drip, dripHandler, EFFECTS } from '../fixtures/drip.ts'
import { useDrip } from './useDrip.ts'
import type { RunRow } from '../readRuns.ts'
import { countLockWaits, LOOKED_FOR_DEADLOCK_MS } from '../countLockWaits.ts'

const REFUSED = 'ending a lost job run failed'
const other = defineJob({ name: 'other' })

interface Work {
  isDeadLetter: boolean
  failures: number
  losses: number
  lossesAlone: number
  dueInS: number
}

const { runtime, client, runs, enqueue, effectsOf, isUnderWay, startWorker } = useDrip()

describe('a worker that lives', () => {
  it('whose run was taken over can commit no further batch and can not end it', async () => {
    await startWorker()
    await enqueue()
    await waitFor(isUnderWay)
    const [run] = await runs()
    const error = JSON.stringify({ error: { code: 'worker_lost', message: 'by the test' } })
    const [ended] = await runtime.rows<RunRow>(
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

  beforeEach(async () => {
    const { url, database, log } = runtime
    session = createSession({ url, database, workerId: 'rescuer', log })
    await session.start()
    await runtime.rows(`insert into "JobWorker" ("id") values ('gone') on conflict do nothing`)
  })

  afterEach(() => session.stop())

  /** Takes so many runs with one claim, for a worker that is gone. */
  async function loseRuns(count: number): Promise<void> {
    const items = Array.from({ length: count }, () => ({ payload: {} }))
    await client.enqueueManyNow(drip, items)
    await takeAndVanish('drip', count)
  }

  async function takeAndVanish(
    name: string,
    limit: number,
    suspects?: { isAlone: boolean },
    workerId = 'gone',
  ): Promise<readonly Taken[]> {
    const { database } = runtime
    await placeDue(database, [name])
    const claimId = crypto.randomUUID()
    const { work } = await asWorker(database, workerId, () =>
      claimWork(database, {
        workerId,
        requests: [{ claimId, name, limit, exclusiveKey: null, expireSeconds: 900 }],
        startedAt: new Date(),
        suspects,
      }),
    )
    return await readBesideClaim(database, work)
  }

  const rescue = () =>
    rescueLostRuns({
      database: runtime.database,
      workerId: 'rescuer',
      log: runtime.log,
      now: () => new Date(),
    })
  /** Of runs, and what has become of their work. */
  const states = () =>
    runtime.rows<{ status: string; state: string; n: number }>(
      `select run."status"::text, case when waiting."id" is null then 'active' else 'retry' end as "state", count(*)::int n
       from "JobRunAll" run left join "JobWork" waiting on waiting."id" = run."workId" group by 1, 2 order by 1, 2`,
    )

  it('gives hundreds back at once, each by one of those that try', async () => {
    await loseRuns(LOST_RUNS)
    const rescued = await Promise.all([rescue(), rescue(), rescue()])
    rescued.push(await rescue())

    expect(new Set(rescued.flat().map(({ id }) => id)).size).toBe(LOST_RUNS)
    expect(rescued.flat()).toHaveLength(LOST_RUNS)
    expect(await states()).toEqual([{ status: 'failed', state: 'retry', n: LOST_RUNS }])
    expect(await runtime.rows('select from "JobClaim"')).toEqual([])
  })

  describe('while a transaction of the host', () => {
    let foreign: pg.Client
    beforeEach(async () => {
      foreign = new pg.Client({ connectionString: runtime.url })
      await foreign.connect()
      await foreign.query('begin')
    })
    afterEach(() => foreign.end())

    it('has locked runs of more than one rescue takes, as their own batches do, the others are rescued', async () => {
      await loseRuns(LOST_RUNS)
      await writeRuns(550)
      await foreign.query('select from "JobRun" for update')
      expect(await rescue()).toHaveLength(LOST_RUNS - 550)
      expect(await rescue()).toEqual([])
      await foreign.query('rollback')
      expect((await rescue()).length + (await rescue()).length).toBe(550)
      expect(await runtime.rows('select from "JobClaim"')).toEqual([])
    })

    it('has replaced the work, it is rescued all the same, and is over once that has committed', async () => {
      const items = ['1', '2'].map((uniqueKey) => ({ payload: {}, options: { uniqueKey } }))
      await client.enqueueManyNow(drip, items)
      await takeAndVanish('drip', 2)
      for (const { options } of items)
        await client.enqueue(foreign, drip, {}, { ...options, onConflict: 'replace' })
      expect(await rescue()).toHaveLength(2)
      expect(await states()).toEqual([{ status: 'failed', state: 'retry', n: 2 }])
      await foreign.query('commit')
      const taken = await takeAndVanish('drip', 4)
      expect(
        taken
          .map(({ attempt, isReplaced }) => [attempt, isReplaced] as const)
          .toSorted(([a], [b]) => a - b),
      ).toEqual([
        [1, false],
        [1, false],
        [2, true],
        [2, true],
      ])
    })

    it('has locked a claim, what others hold is rescued before', async () => {
      for (let n = 0; n < 3; n++) await client.enqueueNow(other, {})
      const others = await takeAndVanish('other', 3)
      await loseRuns(LOST_RUNS)
      await foreign.query(`select from "JobClaim" where "name" = 'drip' for update`)
      const rescued = await rescue()
      expect(new Set(rescued.map(({ id }) => id))).toEqual(new Set(others.map(({ id }) => id)))
      expect(runtime.lines.filter(({ msg }) => msg === REFUSED)).toEqual([])
      await foreign.query('rollback')
      expect(await rescue()).toHaveLength(500)
    })
  })

  /** Has so many of the lost runs stand in JobRun, as if they had stored something. */
  const writeRuns = (count: number) =>
    runtime.rows(
      `insert into "JobRun" ("id", "name", "trigger", "workerId", "workId")
       select held."id", claim."name", 'queue', claim."workerId", held."id"
       from "JobClaim" claim cross join unnest(claim."runIds") held("id") order by 1 limit $1`,
      [count],
    )

  it('leaves a run as it is that has ended since it was found', async () => {
    await loseRuns(3)
    await writeRuns(3)
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
      workerId: 'rescuer',
      log: runtime.log,
      now: () => new Date(),
    })
    expect(rescued).toHaveLength(2)
    expect(rescued.map(({ id }) => id)).not.toContain(late!.id)
    expect((await runs()).find(({ id }) => id === late!.id)).toMatchObject({ status: 'success' })
  })

  it('leaves a run as it is whose end its look could not see', async () => {
    await loseRuns(3)
    const [late] = await runs()
    let hasLooked = false
    const endLate = () =>
      runtime.rows(
        `insert into "JobRun" ("id", "name", "status", "trigger", "attempt", "startedAt", "endedAt", "workId", "workerId")
         values ($1, 'drip', 'success', 'queue', 1, now(), now(), $2, 'gone')`,
        [late!.id, late!.workId],
      )
    const rescued = await rescueLostRuns({
      database: {
        ...runtime.database,
        transaction: (work) =>
          runtime.database.transaction((tx) => {
            const query: typeof tx.query = async (...statement) => {
              const answer = await tx.query<Record<string, never>>(...statement)
              if (!hasLooked) await endLate()
              hasLooked = true
              return answer as never
            }
            return work({ schema: tx.schema, query })
          }),
      },
      workerId: 'rescuer',
      log: runtime.log,
      now: () => new Date(),
    })
    expect(rescued).toHaveLength(2)
    expect(rescued.map(({ id }) => id)).not.toContain(late!.id)
    expect((await runs()).find(({ id }) => id === late!.id)).toMatchObject({ status: 'success' })
    expect(await runtime.rows('select from "JobClaim"')).toEqual([])
  })

  const workOf = async (workId: string) =>
    (
      await runtime.rows<Work>(
        `select "failures", "losses", "lossesAlone", "isDeadLetter",
           -- From the end of the lost run, which the rescue writes when it gives the work back.
           round(extract(epoch from "dueAt" - (
             select max("endedAt") from "JobRun" where "workId" = work."id"
           )))::int as "dueInS"
         from (
           select "id", "failures", "losses", "lossesAlone", "dueAt", false as "isDeadLetter" from "JobWork"
           union all select "id", "failures", "losses", "lossesAlone", null, true from "JobDeadLetter"
         ) work where "id" = $1`,
        [workId],
      )
    )[0]!

  /** Takes the work again for a worker that is gone, as what has lost several is taken, and has it rescued. */
  async function loseAgain(workId: string, { isAlone = false, hasProgress = false } = {}) {
    await runtime.rows(
      `update "JobWork" set "dueAt" = now() - interval '1 second' where "id" = $1`,
      [workId],
    )
    const { losses } = await workOf(workId)
    const suspects = losses < 2 ? undefined : { isAlone }
    const [taken] = await takeAndVanish('drip', 1, suspects)
    expect(taken).toMatchObject({ workId })
    // So early nothing is taken alone.
    if (losses < 2) await runtime.rows('update "JobClaim" set "isAlone" = $1', [isAlone])
    if (hasProgress) {
      await recordRunning(runtime.database, 'gone', taken!)
      await runtime.rows(`update "JobRun" set "batchMarks" = '[]' where "status" = 'running'`)
    }
    expect(await rescue()).toMatchObject([{ id: taken!.id, wasAlone: isAlone }])
    return await workOf(workId)
  }

  async function loseOnce(): Promise<string> {
    await loseRuns(1)
    await rescue()
    return (await runs())[0]!.workId
  }

  it('gives work back at once that has lost one worker, and ever later what has lost several', async () => {
    const id = await loseOnce()
    expect(await workOf(id)).toMatchObject({ isDeadLetter: false, dueInS: 0, losses: 1 })
    const dueInS: number[] = []
    for (let losses = 2; losses <= 12; losses++) {
      const work = await loseAgain(id)
      expect(work).toMatchObject({ isDeadLetter: false, losses, lossesAlone: 0 })
      dueInS.push(work.dueInS)
    }
    expect(dueInS).toEqual([1, 4, 16, 60, 60, 60, 60, 60, 60, 60, 60])
  })

  it('never gives up for losses beside others, whatever its attempt is, and they cost it no retry', async () => {
    const id = await loseOnce()
    await runtime.rows('update "JobWork" set "failures" = 24 where "id" = $1', [id])
    for (let losses = 0; losses < 30; losses++) {
      expect(await loseAgain(id)).toMatchObject({ isDeadLetter: false, failures: 24 })
    }
  })

  it('gives up what has lost five workers while it ran alone', async () => {
    const id = await loseOnce()
    for (let losses = 1; losses < 5; losses++) {
      expect(await loseAgain(id, { isAlone: true })).toMatchObject({
        isDeadLetter: false,
        lossesAlone: losses,
      })
    }
    expect(await loseAgain(id, { isAlone: true })).toMatchObject({
      isDeadLetter: true,
      losses: 6,
      lossesAlone: 5,
    })
    expect(await runtime.rows('select from "JobClaim"')).toEqual([])
  })

  it('has more patience with what gets on, batch by batch', async () => {
    const id = await loseOnce()
    const alone = { isAlone: true, hasProgress: true }
    for (let losses = 1; losses < 25; losses++) {
      expect(await loseAgain(id, alone)).toMatchObject({ isDeadLetter: false })
    }
    expect(await loseAgain(id, alone)).toMatchObject({ isDeadLetter: true, lossesAlone: 25 })
  })

  it("takes no worker's own runs from it, not even if its lock is gone", async () => {
    await loseRuns(3)
    expect(await findLostClaims(runtime.database, 'gone')).toEqual([])
    expect(await findLostClaims(runtime.database, 'rescuer')).toHaveLength(1)
  })

  const waitsForLong = () => countLockWaits(runtime, { longerThanMs: LOOKED_FOR_DEADLOCK_MS })

  it('passes over runs that somebody has locked, and never makes that transaction a deadlock', async () => {
    await loseRuns(10)
    await writeRuns(10)
    const work = await runs()
    const lockWork = 'select from "JobRun" where "id" = $1 for update'
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
      expect(await rescue()).toMatchObject([{ id: work[5]!.id }])
    } finally {
      await foreign.end()
    }
  })

  it('says what it has ended when its connection is lost after that', async () => {
    const { database, log, lines } = runtime
    await runtime.rows(`insert into "JobWorker" ("id") values ('gone too')`)
    await client.enqueueManyNow(drip, [{ payload: {} }, { payload: {} }])
    await takeAndVanish('drip', 1)
    await takeAndVanish('drip', 1, undefined, 'gone too')
    lines.length = 0
    let transactions = 0
    const cut: typeof database = {
      ...database,
      transaction: async (...of) => {
        if (transactions++ > 0) throw new Error('cut off')
        return await database.transaction(...of)
      },
    }
    const rescuing = rescueLostRuns({
      database: cut,
      workerId: 'rescuer',
      log,
      now: () => new Date(),
    })
    await expect(rescuing).rejects.toThrow('cut off')
    expect(lines.filter(({ msg }) => msg === 'job run rescued')).toHaveLength(1)
    await rescue()
    expect(lines.filter(({ msg }) => msg === 'job run rescued')).toHaveLength(2)
  })

  it('leaves out one that the database refuses to end', async () => {
    await loseRuns(LOST_RUNS)
    const [refused] = await runtime.rows<{ id: string }>('select "id" from "JobRunAll" limit 1')
    await runtime.rows(`
      create function refuse() returns trigger language plpgsql as $$ begin raise 'not this one'; end $$;
      create trigger refuse before insert on "JobRun" for each row
      when (new."id" = '${refused!.id}') execute function refuse()`)
    try {
      while ((await rescue()).length > 0);
      expect(await states()).toEqual([
        { status: 'failed', state: 'retry', n: LOST_RUNS - 1 },
        { status: 'running', state: 'active', n: 1 },
      ])
      expect(runtime.lines).toContainEqual(
        expect.objectContaining({ msg: REFUSED, runId: refused!.id }),
      )
    } finally {
      await runtime.rows('drop trigger refuse on "JobRun"; drop function refuse')
    }
    // It was still held, so that the next round found it. Now nothing is held.
    expect(await rescue()).toMatchObject([{ id: refused!.id }])
    expect(await runtime.rows('select from "JobClaim"')).toEqual([])
  })

  it('says what the database refused, also where that is a row that is there already', async () => {
    await loseRuns(1)
    const copy = `insert into "JobWork" ("id", "name", "bytes", "payload")
      select coalesce("workIds"[1], "runIds"[1]), "name", 2, '{}' from "JobClaim" returning "id"`
    await runtime.rows(copy)
    runtime.lines.length = 0
    expect(await rescue()).toEqual([])
    expect(runtime.lines).toContainEqual(
      expect.objectContaining({ msg: REFUSED, err: expect.objectContaining({ code: '23505' }) }),
    )
  })
})

describe('runOnce', () => {
  const once = (options: { dryRun?: boolean } = {}) =>
    runOnce({
      ...runtime.runOptions,
      job: drip,
      handler: dripHandler,
      ...options,
    })

  it('runs without a worker and records who asked', async () => {
    const result = await runOnce({
      ...runtime.runOptions,
      job: drip,
      handler: dripHandler,
      actor: 'somebody',
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
