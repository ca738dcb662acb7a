// A user's tests of a job: each enqueues in a transaction, drains and asserts.
import { defineJob } from '@roundsman/engine'
import { openTestJobs } from '@roundsman/engine/testing'
import pg from 'pg'
import { z } from 'zod'
import { followDriver } from '../followDriver.ts'

const welcome = defineJob({
  name: 'welcome',
  payload: z.strictObject({ userId: z.int() }),
})

const { settings, tell } = followDriver<{ databaseUrl: string; tests: number }>()
const { databaseUrl, tests } = settings
const client = new pg.Pool({ connectionString: databaseUrl })
// A product's tests have used their database before.
await client.query('create table if not exists welcomed (id int)')

const openedAtMs = performance.now()
const jobs = await openTestJobs({
  databaseUrl,
  client,
  jobs: [welcome],
  handlers: {
    welcome: async ({ payload, batch }) =>
      await batch(async (tx) => {
        const text = 'insert into welcomed values ($1)'
        return { welcomed: (await tx.query(text, [payload.userId])).rowCount ?? 0 }
      }),
  },
})
const tookMs = [performance.now() - openedAtMs]
for (let userId = 0; userId < tests; userId++) {
  const startedAtMs = performance.now()
  await test(userId)
  tookMs.push(performance.now() - startedAtMs)
}
tell({ tookMs })
process.exit(0)

async function test(userId: number): Promise<void> {
  const tx = await client.connect()
  await tx.query('begin')
  await jobs.enqueue(tx, welcome, { userId })
  await tx.query('commit')
  tx.release()
  await jobs.assertEnqueued(welcome, { userId })
  const [run] = await jobs.drain()
  if (run?.status !== 'success') throw new Error(`It ended as ${run?.status}`)
}
