// Not quick: waits for connections.
import { createPooler, waitFor } from '@roundsman/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createJobsClient, type JobsClient } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import type { Connection } from '../../src/store/database.ts'
import { createWriteOuts } from '../../src/run/writeOuts.ts'
import { writeOutRuns } from '../../src/store/starts.ts'
import { createWorker, type Worker } from '../../src/worker.ts'
import { noClock } from '../fixtures/noClock.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const counted = defineJob({
  name: 'counted',
  description: '',
  payload: z.object({ n: z.number() }),
  concurrency: 300,
  // No retry, so that a lost attempt shows.
  retry: { limit: 0 },
})
const other = defineJob({ name: 'other', description: '' })
const jobs = [counted, other] as const
const PATIENCE = { timeoutMs: 60_000 }

let runtime: TestRuntime
let client: JobsClient
let worker: Worker | undefined

beforeAll(async () => {
  runtime = await openTestRuntime(jobs)
  // However long it takes until all have begun, no round writes them out before.
  await runtime.rows(
    `alter table "JobStart" alter "createdAt" set default now() + interval '1 hour'`,
  )
  client = createJobsClient({ schema: 'public', databaseUrl: runtime.url, log: runtime.log })
  await client.start()
})

afterEach(async () => {
  await worker?.stop({ drainTimeoutMs: 0 })
  worker = undefined
})

beforeEach(async () => {
  for (const table of ['"JobStart"', '"JobClaim"', '"JobRun"', 'pgboss.job']) {
    await runtime.rows(`delete from ${table}`)
  }
})

afterAll(async () => {
  await client.stop()
  await runtime.close()
})

/** Has so many runs begin that say nothing; `speak` has all of them call their first batch. */
async function begin(runs: number, databaseUrl = runtime.url): Promise<{ speak: () => void }> {
  const told = Promise.withResolvers<void>()
  let begun = 0
  worker = createWorker({
    schema: 'public',
    retention: false,
    databaseUrl,
    client: runtime.prisma,
    jobs,
    handlers: {
      async counted({ batch }) {
        begun++
        await told.promise
        await batch(async () => ({ done: 1 }))
      },
      other: async ({ batch }) => void (await batch(async () => ({ done: 1 }))),
    },
    log: runtime.log,
    clock: noClock,
  })
  await worker.start()
  const items = Array.from({ length: runs }, (_, n) => ({ payload: { n } }))
  await client.enqueueMany(runtime.prisma, counted, items)
  await waitFor(() => begun === runs, PATIENCE)
  expect(await runtime.rows('select from "JobRun"')).toEqual([])
  return { speak: told.resolve }
}

/** The worker's statements that wait for a lock. */
const blocked = () =>
  runtime.rows<{ pid: number }>(
    `select pid from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and application_name <> 'test'`,
  )
const isBlocked = async () => (await blocked()).length > 0

/** Locks as somebody does who settles one of the runs and stands still meanwhile. */
const lockStarts = (tx: Connection) => tx.query('select from "JobStart" for key share')

async function expectAllSucceeded(runs: number): Promise<void> {
  const ends = () =>
    runtime.rows(
      `select "status"::text, "errorCode" as code, "attempt", "details" ->> 'done' as done, count(*)::int as runs
       from "JobRun" where "name" = 'counted' group by 1, 2, 3, 4`,
    )
  await waitFor(async () => {
    const [left] = await runtime.rows(
      `select from "JobRun" where "status" = 'running' union all select from "JobStart"
       union all select from "JobClaim" limit 1`,
    )
    return left === undefined
  }, PATIENCE)
  expect(await ends()).toEqual([{ status: 'success', code: null, attempt: 1, done: '1', runs }])
  expect(await runtime.rows('select from pgboss.job')).toEqual([])
}

describe('the first batches of runs that were started together', { timeout: 180_000 }, () => {
  it('keep neither connections nor their turn from others while they wait, and lose no attempt', async () => {
    const { speak } = await begin(300)
    await runtime.database.transaction(async (tx) => {
      await lockStarts(tx)
      speak()
      await waitFor(isBlocked, PATIENCE)
      await client.enqueue(runtime.prisma, other, {})
      await waitFor(
        async () =>
          (
            await runtime.rows(
              `select from "JobRun" where "name" = 'other' and "status" = 'success'`,
            )
          ).length === 1,
        PATIENCE,
      )
    })
    await expectAllSucceeded(300)
  })

  it('are written where one of them is refused', async () => {
    const { speak } = await begin(3)
    const [start] = await runtime.rows<{ id: string; runIds: string[] }>(
      'select "id", "runIds" from "JobStart"',
    )
    const { id, runIds } = start!
    const writeOut = createWriteOuts(runtime.database, runtime.log)
    // What comes in the same turn of the event loop shares a statement.
    const outcomes = await Promise.allSettled(
      [runIds[0]!, 'no id', runIds[1]!].map((runId) => writeOut(id, runId)),
    )
    expect(outcomes).toMatchObject([
      { status: 'fulfilled' },
      { status: 'rejected', reason: { code: '22P02' } },
      { status: 'fulfilled' },
    ])
    expect(await runtime.rows('select "id" from "JobRun" order by "id"')).toEqual(
      runIds
        .slice(0, 2)
        .toSorted((one, next) => one.localeCompare(next))
        .map((written) => ({ id: written })),
    )
    speak()
    await expectAllSucceeded(3)
  })

  it('are written when the connections break on which they were to be', async () => {
    const { speak } = await begin(50)
    await runtime.database.transaction(async (tx) => {
      await lockStarts(tx)
      speak()
      await waitFor(isBlocked, PATIENCE)
      for (const { pid } of await blocked()) {
        await runtime.rows('select pg_terminate_backend($1, 5_000)', [pid])
      }
    })
    await expectAllSucceeded(50)
  })

  it('are written where what they touch was just changed, on connections that do not overlook it', async () => {
    const pooler = await createPooler(runtime.url, {
      settings: { default_transaction_isolation: 'repeatable read' },
    })
    try {
      const { speak } = await begin(20, pooler.url)
      const starts = await runtime.rows<{ id: string; runIds: string[] }>(
        'select "id", "runIds" from "JobStart"',
      )
      await runtime.database.transaction(async (tx) => {
        await writeOutRuns(
          tx,
          starts.map(({ id }) => id),
          starts.map(({ runIds }) => runIds[0]!),
        )
        speak()
        await waitFor(isBlocked, PATIENCE)
      })
      await expectAllSucceeded(20)
      await worker?.stop({ drainTimeoutMs: 0 })
    } finally {
      await pooler.close()
    }
  })
})
