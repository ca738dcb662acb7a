import { waitFor } from '@roundsman/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { defineJob, type Job } from '../../src/contract/index.ts'
import type { Database } from '../../src/queue/database.ts'
import { createClaimer } from '../../src/worker/claimer.ts'
import { createLane, type Claim, type Lane } from '../../src/worker/lane.ts'
import { openTestQueue, type TestQueue } from '../openTestQueue.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const echo = defineJob({ name: 'echo', description: '' })
const other = defineJob({ name: 'other', description: '' })
const limited = defineJob({
  name: 'limited',
  description: '',
  rateLimit: { limit: 1_000, perMs: 1_000 },
})
const exclusive = defineJob({
  name: 'exclusive',
  description: '',
  schedule: { cron: '0 0 1 1 *' },
})
const jobs = [echo, other, limited, exclusive]

let runtime: TestRuntime
let opened: TestQueue
let lanes: Lane[] = []
let executed: Claim[]
/** Those that brought something. */
let statements: string[]

beforeAll(async () => {
  runtime = await openTestRuntime(jobs)
  opened = await openTestQueue(runtime, jobs, () => lanes.forEach((lane) => lane.wake()))
})

afterAll(async () => {
  await opened.close()
  await runtime.close()
})

beforeEach(async () => {
  executed = []
  statements = []
  await runtime.rows('truncate "JobRun", "JobClaim"')
  await runtime.rows('delete from pgboss.job')
})

afterEach(async () => {
  await Promise.all(lanes.map((lane) => lane.stop()))
  lanes = []
})

/** Lanes of one worker. */
function startLanes(of: readonly Job[], database: Database): void {
  const counted: Database = {
    ...database,
    query: async (statement, values) => {
      const result = await database.query(statement, values)
      if (result.rows.length > 0) statements.push(textOf(statement))
      return result as never
    },
  }
  const claimer = createClaimer({ database: counted, workerId: 'w1', now: () => new Date() })
  lanes = of.map((job) =>
    createLane({
      job,
      concurrency: 2,
      claimer,
      log: runtime.log,
      execute: async (claim) => void executed.push(claim),
    }),
  )
  for (const lane of lanes) lane.start()
}

const textOf = (statement: Parameters<Database['query']>[0]) =>
  typeof statement === 'string' ? statement : statement.text
const send = (job: Job) => runtime.prisma.$transaction((tx) => opened.client.enqueue(tx, job, {}))
const runs = () =>
  runtime.rows<{ id: string; queueJobId: string; attempt: number; status: string }>(
    `select "id", "queueJobId", "attempt", "status" from "JobRun" order by "attempt"`,
  )
const held = () =>
  runtime.rows<{ name: string; workerId: string; exclusiveKey: string | null; runIds: string[] }>(
    `select "name", "workerId", "exclusiveKey", "runIds" from "JobClaim"
     where cardinality("runIds") > 0 order by "name"`,
  )

describe('lanes that look for work at the same moment', () => {
  it('take it with one statement, each its own, and hold it by a claim of each job', async () => {
    const ids = { echo: (await send(echo)).queueJobId, other: (await send(other)).queueJobId }
    startLanes([echo, other], runtime.database)

    await waitFor(() => executed.length === 2)
    expect(statements).toHaveLength(1)
    expect(
      Object.fromEntries(executed.map(({ run, delivery }) => [run.name, delivery.queueJobId])),
    ).toEqual(ids)
    expect(await held()).toEqual([
      { name: 'echo', workerId: 'w1', exclusiveKey: null, runIds: [ids.echo] },
      { name: 'other', workerId: 'w1', exclusiveKey: null, runIds: [ids.other] },
    ])
  })
})

describe.each([echo, limited])('a lane of $name', (job) => {
  it('gives a first run the id of its work, and another one where a run has it already', async () => {
    const { queueJobId } = await send(job)
    await runtime.rows(
      `insert into "JobRun" ("id", "name", "trigger", "workerId", "status", "endedAt")
       values ($1, 'echo', 'queue', 'w0', 'success', now())`,
      [queueJobId],
    )
    startLanes([job], runtime.database)
    await waitFor(() => executed.length)
    expect(executed[0]!.run.id).not.toBe(queueJobId)
    expect(await runs()).toHaveLength(2)

    const next = await send(job)
    await waitFor(() => executed.length === 2)
    expect(executed[1]!.run.id).toBe(next.queueJobId)
  })
})

describe('a lane of a job of which one run may be under way', () => {
  it('takes nothing while somebody holds one, and leaves the work as it was', async () => {
    await runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "runIds")
       values (gen_random_uuid(), 'exclusive', 'w2', 'exclusive', array[gen_random_uuid()])`,
    )
    await send(exclusive)
    await send(echo)
    startLanes([exclusive, echo], runtime.database)

    await waitFor(() => executed.length)
    expect(executed.map(({ run }) => run.name)).toEqual(['echo'])
    const work = await runtime.rows(
      `select state::text, started_on from pgboss.job where name = 'exclusive'`,
    )
    expect(work).toEqual([{ state: 'created', started_on: null }])

    await runtime.rows(`delete from "JobClaim" where "workerId" = 'w2'`)
    lanes[0]!.wake()
    await waitFor(() => executed.length === 2)
    expect((await held())[1]).toMatchObject({ name: 'exclusive', exclusiveKey: 'exclusive' })
  })

  it('is free for a later attempt at the same work when an earlier one hangs past every limit', async () => {
    await send(exclusive)
    startLanes([exclusive], runtime.database)
    await waitFor(() => executed.length)
    await runtime.rows(`update pgboss.job set state = 'retry', start_after = now()`)
    startLanes([exclusive], runtime.database)

    await waitFor(() => executed.length === 2)
    expect(await runs()).toMatchObject([
      { attempt: 1, status: 'failed' },
      { attempt: 2, status: 'running' },
    ])
    expect(await held()).toMatchObject([{ runIds: [executed[1]!.run.id] }])
  })

  it('takes one of two that were enqueued, whichever of two workers is sooner', async () => {
    for (let round = 0; round < 20; round++) {
      await runtime.rows('truncate "JobRun", "JobClaim"')
      await runtime.rows('delete from pgboss.job')
      executed = []
      await send(exclusive)
      await send(exclusive)
      startLanes([exclusive], runtime.database)
      const first = lanes
      startLanes([exclusive], runtime.database)
      await waitFor(() => executed.length)
      await Promise.all([...first, ...lanes].map((lane) => lane.stop()))
      expect(executed).toHaveLength(1)
      expect(await held()).toHaveLength(1)
    }
  })
})

describe.each([echo, limited])(
  'a lane of $name whose connection is lost while it takes work',
  (job) => {
    /** Fails once, when a claim is made: `before` or `after` it took hold. */
    function breakOnce(when: 'before' | 'after'): Database {
      let failures = 1
      const fail = () => {
        if (failures-- > 0) throw new Error('connection lost')
      }
      return {
        ...runtime.database,
        async query(statement, values) {
          const isClaim = textOf(statement).includes('update pgboss.job')
          if (isClaim && when === 'before') fail()
          const result = await runtime.database.query(statement, values)
          if (isClaim && result.rows.length > 0) fail()
          return result as never
        },
        async transaction(work) {
          const result = await runtime.database.transaction(async (tx) => {
            const answer = await work(tx)
            if (when === 'before') fail()
            return answer
          })
          // The commit has happened, its answer never came.
          if ((result as { work: unknown[] }).work.length > 0) fail()
          return result
        },
      }
    }

    it('before the commit: nothing was taken, and it is taken again', async () => {
      startLanes([job], breakOnce('before'))
      await send(job)

      await waitFor(() => executed.length)
      expect(await runs()).toHaveLength(1)
      expect(await held()).toHaveLength(1)
    })

    it('after the commit: the run that it recorded is executed all the same', async () => {
      await send(job)
      startLanes([job], breakOnce('after'))

      await waitFor(() => executed.length)
      expect(executed).toHaveLength(1)
      expect(await runs()).toMatchObject([{ id: executed[0]!.run.id, status: 'running' }])
      expect(executed[0]!.run.startedAt).toBeInstanceOf(Date)
      expect(executed[0]!.envelope).toMatchObject({ trigger: 'queue' })
    })
  },
)
