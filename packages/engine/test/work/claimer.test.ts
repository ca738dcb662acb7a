// Not quick: claims out of a large backlog.
import { openForTests, waitFor } from '@roundsman/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { defineJob, type Job } from '../../src/index.ts'
import { claimWork, dropClosedClaims, MAX_CLAIM_BYTES } from '../../src/queue/claimWork.ts'
import type { Taken } from '../../src/queue/taken.ts'
import type { Connection, Database } from '../../src/database/database.ts'
import { createClaimer } from '../../src/work/claimer.ts'
import type { Lane } from '../../src/work/lane.ts'
import { asWorker } from '../asWorker.ts'
import { countCosts, enqueueSilently } from '../countCosts.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { registeredLimits } from '../registeredLimits.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { startTestLanes } from '../startTestLanes.ts'
import { interceptQueries, isClaim, textOf } from '../interceptQueries.ts'
import { claimRequest } from '../claimRequest.ts'
import { countLockWaits } from '../countLockWaits.ts'
import { openBeside } from '../openBeside.ts'

const echo = defineJob({ name: 'echo' })
const other = defineJob({ name: 'other' })
const limited = defineJob({ name: 'limited', rateLimit: { limit: 1_000, perMs: 1_000 } })
const schedule = { cron: '0 0 1 1 *' }
const first = defineJob({ name: 'first', schedule })
const second = defineJob({ name: 'second', schedule })
const jobs = [echo, other, limited, first, second]

const runtime = useTestRuntime()
const opened = openForTests(() => openTestQueue(runtime, jobs))
let lanes: Lane[] = []
let executed: Taken[]

beforeEach(async () => {
  executed = []
  await runtime.clear()
})

afterEach(async () => {
  await Promise.all(lanes.map((lane) => lane.stop()))
  lanes = []
})

function startLanes(of: readonly Job[], database: Database): void {
  lanes = startTestLanes(runtime, of, database, (claim) => executed.push(claim))
}

const send = (job: Job) => runtime.prisma.$transaction((tx) => opened.client.enqueue(tx, job, {}))
const names = () => executed.map(({ name }) => name)

async function refuseClaimsOfEcho(): Promise<void> {
  await runtime.rows(`alter table "JobClaim" add constraint refused check ("name" <> 'echo')`)
  onTestFinished(
    async () => void (await runtime.rows('alter table "JobClaim" drop constraint refused')),
  )
}

const claimerOf = (database = runtime.database) =>
  createClaimer({ database, workerId: 'w1', now: () => new Date() })
const readRunning = () =>
  runtime.column<string>(`select "id" from "JobRunAll" where "status" = 'running'`)

describe('claims that are asked for at the same moment', () => {
  it('are answered though what one of them asks for cannot be recorded', async () => {
    await refuseClaimsOfEcho()
    await send(echo)
    const ids = [(await send(other)).workId, (await send(first)).workId]
    const claimer = claimerOf()
    const answers = await Promise.allSettled(
      [echo, other, first].map((job) => claimer.claim(job, 1)),
    )

    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
    const taken = answers.flatMap((each) => (each.status === 'fulfilled' ? each.value.work : []))
    expect(taken.map(({ workId }) => workId)).toEqual(ids)
  })
})

describe('a claim that meets another one of its exclusive key', () => {
  it('is tried again only after a pause, by when PostgreSQL has let go of the work', async () => {
    await enqueueSilently(runtime, first, 1)
    const { database, events, close } = countCosts(runtime)
    onTestFinished(close)
    const claimer = createClaimer({
      database: {
        ...database,
        query: (...asked) =>
          database.query<never>(...asked).catch(async (error: unknown) => {
            // By the next try the other has let go, and the pause, which takes no time here, has been long enough.
            await runtime.rows('delete from "JobClaim"')
            await runtime.rows('select from "JobWork" for update')
            throw error
          }),
      },
      workerId: 'w1',
      now: () => new Date(),
    })
    let claimed: ReturnType<typeof claimer.claim> | undefined
    await runtime.database.transaction(async (tx) => {
      await tx.query(
        `insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "startedAt", "expiresAt", "runIds", "enqueuedAts")
         values (gen_random_uuid(), 'first', 'w0', 'first', now(), 'infinity', array[gen_random_uuid()], array[now()])`,
      )
      claimed = claimer.claim(first, 1)
      await waitFor(() => countLockWaits(runtime))
    })
    expect((await claimed)?.work).toHaveLength(1)
    expect(events).toEqual(['statement', 'pause', 'statement'])
  })
})

describe('a claim of work of which others have locked some', () => {
  it('takes the rest, and leaves the place of what it has passed over to the next that looks for all', async () => {
    const claimer = claimerOf()
    const take = async (hasBacklog: boolean) =>
      (await claimer.claim(echo, 10, { hasBacklog })).work.map(({ workId }) => workId)
    const [locked, ...others] = await enqueueSilently(runtime, echo, 3)
    await runtime.database.transaction(async (tx) => {
      await tx.query('select from "JobWork" where "id" = $1 for update', [locked])
      expect(await take(false)).toEqual(others)
    })
    const [later] = await enqueueSilently(runtime, echo, 1)
    expect(await take(true)).toEqual([later])
    expect(await take(false)).toEqual([locked])
  })
})

describe('the plan of a claim', () => {
  it('by the statistics of a queue with little in it reads no more of a backlog than it takes', async () => {
    const database = openBeside(runtime, { poolSize: 2, isSession: true })
    for (let n = 0; n < 3; n++) await send(other)
    await runtime.rows('vacuum analyze "JobWork"')
    const claimer = claimerOf(database)
    for (let n = 0; n < 12; n++) {
      await send(echo)
      expect((await claimer.claim(echo, 10)).work).toHaveLength(1)
    }
    await runtime.rows(
      `insert into "JobWork" ("id", "name", "rank", "bytes", "payload")
       select gen_random_uuid(), 'echo', n % 3, 2, '{}' from generate_series(1, 20000) n`,
    )
    const { rows } = await database.query<{ 'QUERY PLAN': string }>(
      `explain (analyze, timing off) execute roundsman_claim_few('w1', array['echo'], array[10], array[null::text], array[gen_random_uuid()],
         array[900], array[1, 1, 1], array[-2147483648, 0, 1], array[0, 0, 0], array[-1, 0, 2147483647], false, now(), null)`,
    )
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    expect(plan).toMatch(/Index Scan using "JobWork_ready_idx"/)
    expect(plan).not.toMatch(/Seq Scan on "?JobWork/)
    const read = [...plan.matchAll(/JobWork.*actual rows=([\d.]+) loops/g)].map(([, count]) =>
      Number(count),
    )
    expect(Math.max(...read)).toBe(10)
  })
})

describe('lanes that ask at the same moment', () => {
  it('take their work though the key of another has not been let go', async () => {
    // As between the two statements of a rescue, or for as long as the second one fails.
    const { workId } = await send(first)
    await runtime.rows(
      `with run as (
         insert into "JobRun" ("id", "name", "trigger", "workerId", "status", "errorCode", "endedAt", "workId")
         values (gen_random_uuid(), 'first', 'queue', 'gone', 'failed', 'worker_lost', now(), $1) returning "id"
       )
       insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "startedAt", "expiresAt", "runIds", "enqueuedAts")
       select gen_random_uuid(), 'first', 'gone', 'first', now(), 'infinity', array["id"], array[now()] from run`,
      [workId],
    )
    await send(other)
    startLanes([first, other], runtime.database)
    // Wakes all lanes at once, as a worker's rounds do.
    const rounds = setInterval(() => lanes.forEach((lane) => lane.wake()), 500)

    await waitFor(() => executed.length).finally(() => clearInterval(rounds))
    expect(names()).toEqual(['other'])
  })
})

describe('a claim whose connection breaks', () => {
  it('while PostgreSQL still carries it out: says that nothing was taken only if nothing is', async () => {
    await send(echo)
    let failures = 1
    const broken: Promise<unknown>[] = []
    const database = interceptQueries(runtime.database, async (carryOut, statement) => {
      const answer = carryOut()
      if (!isClaim(statement) || failures-- <= 0) return await answer
      broken.push(answer.catch(() => undefined))
      throw new Error('connection lost')
    })
    const claimer = claimerOf(database)
    let claimed: Promise<string[]> | undefined
    await runtime.database.transaction(async (tx) => {
      // The claim waits for this lock; reading statements go on.
      await tx.query('lock table "JobClaim" in share mode')
      claimed = claimer.claim(echo, 1).then(
        ({ work }) => work.map(({ id }) => id),
        () => [],
      )
      await waitFor(() => broken.length)
      // The claimer asks what became of its claim, and has to wait until that has ended.
      let isAnswered = false
      void claimed.then(() => (isAnswered = true))
      const areWaiting = async () => {
        const { rows } = await tx.query(
          `select from pg_locks where relation = '"JobClaim"'::regclass and not granted
             and database = (select oid from pg_database where datname = current_database())`,
        )
        return rows.length === 2
      }
      await waitFor(async () => isAnswered || (await areWaiting()))
    })
    await Promise.all(broken)

    expect(await readRunning()).toEqual(await claimed)
  })
})

describe('a claim that the server carried out before it shut down', () => {
  it.each([echo, limited])('is handed on, though its answer was lost: $name', async (job) => {
    await send(job)
    const database = interceptQueries(runtime.database, async (carryOut, statement) => {
      const answer = await carryOut()
      if (!isClaim(statement)) return answer
      const error = new pg.DatabaseError('terminating connection', 0, 'error')
      throw Object.assign(error, { code: '57P01' })
    })
    const limits = await registeredLimits(runtime, [limited])
    const claimer = createClaimer({ database, workerId: 'w1', now: () => new Date(), limits })
    const { work } = await claimer.claim(job, 1)

    expect(await readRunning()).toEqual(work.map(({ id }) => id))
    expect(work).toHaveLength(1)
  })
})

describe('a claim whose run was ended before its worker could look', () => {
  it('brings nothing: what has ended is not started', async () => {
    await send(echo)
    const database = interceptQueries(runtime.database, async (carryOut, statement) => {
      const answer = await carryOut()
      if (!isClaim(statement)) return answer
      // As another worker does that takes this one for dead.
      await runtime.rows(
        `insert into "JobRun" ("id", "name", "trigger", "workerId", "status", "endedAt", "errorCode")
         select unnest("runIds"), "name", 'queue', "workerId", 'failed', now(), 'worker_lost' from "JobClaim"`,
      )
      throw new Error('connection lost')
    })
    const claimer = claimerOf(database)
    await expect(claimer.claim(echo, 1)).rejects.toThrow('connection lost')
    expect(await runtime.rows('select "status" from "JobRun"')).toEqual([{ status: 'failed' }])
  })
})

describe('claims of several jobs whose connection is cut', () => {
  it('are closed once, and not asked for again by the same ids', async () => {
    await send(echo)
    await send(other)
    let asked = 0
    const database = interceptQueries(runtime.database, async (carryOut, statement) => {
      if (!isClaim(statement)) {
        return await carryOut()
      }
      asked++
      const error = new pg.DatabaseError('terminating connection', 0, 'error')
      throw Object.assign(error, { code: '57P01' })
    })
    const claimer = claimerOf(database)
    const answers = await Promise.allSettled([echo, other].map((job) => claimer.claim(job, 1)))

    expect(answers).toMatchObject([{ reason: { code: '57P01' } }, { reason: { code: '57P01' } }])
    expect(asked).toBe(1)
    expect(await runtime.rows('select from "JobClaim"')).toHaveLength(2)
  })

  it('leave nothing behind once no statement can still carry their ids', async () => {
    await runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "runIds", "startedAt", "expiresAt", "enqueuedAts", "createdAt")
       select gen_random_uuid(), name, worker, runs::uuid[], now(), 'infinity', '{}', now() - minutes * interval '1 minute'
       from (values
         ('gone', 'w1', '{}', 11), ('young', 'w1', '{}', 9), ('foreign', 'w2', '{}', 11),
         ('held', 'w1', '{00000000-0000-0000-0000-000000000001}', 11)
       ) as claim(name, worker, runs, minutes)`,
    )
    await dropClosedClaims(runtime.database, 'w1')
    expect(await runtime.rows('select "name" from "JobClaim" order by 1')).toEqual(
      ['foreign', 'held', 'young'].map((name) => ({ name })),
    )
  })
})

describe('a claim whose answer is lost when its worker stops', () => {
  it('is handed on all the same, once the database is back', async () => {
    await send(echo)
    let away = 5
    const database = interceptQueries(runtime.database, async (carryOut, statement) => {
      if (isClaim(statement)) await carryOut()
      if (isClaim(statement) || away-- > 0) throw new Error('connection lost')
      return await carryOut()
    })
    const claimer = claimerOf(database)
    const claimed = claimer.claim(echo, 1)
    claimer.stop()
    const running = await waitFor(async () => {
      const runs = await readRunning()
      return runs.length > 0 && runs
    })
    expect((await claimed).work.map(({ id }) => id)).toEqual(running)
  })
})

describe('claims of several jobs', () => {
  it('that meet at two keys end as taken or as met, and not as a deadlock', async () => {
    await runtime.rows(`
      create function slow() returns trigger language plpgsql as
        $$ begin perform pg_sleep(0.1); return new; end $$;
      create trigger slow before insert on "JobClaim" for each row execute function slow()`)
    const claim = (workerId: string) =>
      asWorker(runtime.database, workerId, () =>
        claimWork(runtime.database, {
          workerId,
          requests: [first, second].map(({ name }) =>
            claimRequest(name, { limit: 1, exclusiveKey: name }),
          ),
          startedAt: new Date(),
        }),
      )
    try {
      // The order in which the keys are written depends on the claims' ids. In some rounds one is too quick to meet the
      // other.
      let meetings = 0
      for (let round = 0; round < 10; round++) {
        await runtime.clear()
        for (const job of [first, first, second, second]) await send(job)
        const answers = await Promise.allSettled([claim('w2'), claim('w3')])
        const errors = answers.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []))
        expect(errors.map(({ name }) => name)).toEqual(errors.map(() => 'ClaimConflict'))
        expect(errors.length).toBeLessThanOrEqual(1)
        meetings += errors.length
      }
      expect(meetings).toBeGreaterThan(0)
    } finally {
      await runtime.rows('drop trigger slow on "JobClaim"; drop function slow')
    }
  })

  it('find their work by an index, however much waits', async () => {
    await runtime.rows(
      `insert into "JobWork" ("id", "name", "bytes", "payload")
       select gen_random_uuid(), name, 2, '{}' from unnest(array['echo', 'other']) name, generate_series(1, 20000)`,
    )
    await runtime.rows('vacuum analyze "JobWork"')
    const plans: string[] = []
    const explaining: Connection = {
      schema: runtime.database.schema,
      async query(statement, values) {
        const text = `explain ${textOf(statement)}`
        const { rows } = await runtime.database.query(text, values)
        plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'))
        return { rows: [], rowCount: 0 }
      },
    }
    for (const of of [[echo], [echo, other]]) {
      await claimWork(explaining, {
        workerId: 'w1',
        requests: of.map(({ name }) => claimRequest(name)),
        startedAt: new Date(),
      })
    }
    for (const plan of plans) expect(plan).not.toMatch(/Seq Scan on "?JobWork/)
  })
})

it('a claim is bounded by its bytes: it brings the first of each job, and what else fits, in order', async () => {
  for (const job of [echo, other])
    await opened.client.enqueueManyNow(
      job,
      Array.from({ length: 3 }, () => ({ payload: {} })),
    )
  await runtime.rows(`update "JobWork" set "bytes" = ${MAX_CLAIM_BYTES * 0.6}`)
  const claim = async (...of: string[]) => {
    const { work, isCut } = await claimWork(runtime.database, {
      workerId: 'w1',
      requests: of.map((name) => claimRequest(name)),
      startedAt: new Date(),
    })
    return { places: work.map(({ name, from }) => `${name} ${from?.place}`), isCut }
  }
  const waiting = await runtime.rows<{ text: string }>(
    `select "name" || ' ' || "place" as text from "JobWork" order by "name", "place"`,
  )
  const [one, two, three, four, ...rest] = waiting.map(({ text }) => text)
  expect(await claim('echo')).toEqual({ places: [one, two], isCut: true })
  expect(await claim('echo', 'other')).toEqual({ places: [three, four], isCut: true })
  expect(await claim('other')).toEqual({ places: rest, isCut: false })
})
