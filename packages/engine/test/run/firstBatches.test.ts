// Not quick: waits for connections.
import { createPooler, waitFor } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/index.ts'
import type { Connection } from '../../src/database/database.ts'
import type { Worker } from '../../src/worker.ts'
import { noClock } from '../fixtures/noClock.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { startTestWorker } from '../startTestWorker.ts'

const counted = defineJob({
  name: 'counted',
  payload: z.object({ n: z.number() }),
  concurrency: 300,
  // No retry, so that a lost attempt shows.
  retry: { limit: 0 },
})
const other = defineJob({ name: 'other' })
const jobs = [counted, other] as const
const PATIENCE = { timeoutMs: 60_000 }

const { runtime, client } = useClientRuntime()
let worker: Worker

beforeEach(async () => {
  for (const table of ['JobClaim', 'JobRun', 'JobWork', 'JobDeadLetter'])
    await runtime.rows(`delete from "${table}"`)
})

/** Has so many runs begin that say nothing; `speak` has all of them call their first batch. */
async function begin(runs: number, databaseUrl = runtime.url): Promise<{ speak: () => void }> {
  const told = Promise.withResolvers<void>()
  let begun = 0
  worker = await startTestWorker(runtime, {
    databaseUrl,
    jobs,
    handlers: {
      async counted({ batch }) {
        begun++
        await told.promise
        await batch(async () => ({ done: 1 }))
      },
      other: async ({ batch }) => void (await batch(async () => ({ done: 1 }))),
    },
    clock: noClock,
  })
  const items = Array.from({ length: runs }, (_, n) => ({ payload: { n } }))
  await client.enqueueManyNow(counted, items)
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

/** Locks as a rescue does that stands still meanwhile. */
const lockClaims = (tx: Connection) =>
  tx.query(`select from "JobClaim" where "name" = 'counted' for update`)

async function expectAllSucceeded(runs: number): Promise<void> {
  const ends = () =>
    runtime.rows(
      `select "status"::text, "errorCode" as code, "attempt", "details" ->> 'done' as done, count(*)::int as runs
       from "JobRun" where "name" = 'counted' group by 1, 2, 3, 4`,
    )
  await waitFor(async () => {
    const [left] = await runtime.rows(
      // A claim whose answer was lost leaves a row without runs for some minutes.
      `select from "JobRun" where "status" = 'running' union all select from "JobClaim" where "runIds" <> '{}' limit 1`,
    )
    return left === undefined
  }, PATIENCE)
  expect(await ends()).toEqual([{ status: 'success', code: null, attempt: 1, done: '1', runs }])
  expect(await runtime.rows(`select from "JobWork" union all select from "JobDeadLetter"`)).toEqual(
    [],
  )
}

describe('the first batches of runs that were started together', { timeout: 180_000 }, () => {
  it('keep neither connections nor their turn from others while they wait, and lose no attempt', async () => {
    const { speak } = await begin(300)
    await runtime.database.transaction(async (tx) => {
      await lockClaims(tx)
      speak()
      await waitFor(isBlocked, PATIENCE)
      await client.enqueueNow(other, {})
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

  it('are written when the connections break on which they were to be', async () => {
    const { speak } = await begin(50)
    await runtime.database.transaction(async (tx) => {
      await lockClaims(tx)
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
      mode: 'session',
    })
    try {
      const { speak } = await begin(20, pooler.url)
      await runtime.database.transaction(async (tx) => {
        await lockClaims(tx)
        await tx.query('update "JobClaim" set "expiresAt" = "expiresAt"')
        speak()
        await waitFor(isBlocked, PATIENCE)
      })
      await expectAllSucceeded(20)
      await worker.stop({ drainTimeoutMs: 0 })
    } finally {
      await pooler.close()
    }
  })
})
