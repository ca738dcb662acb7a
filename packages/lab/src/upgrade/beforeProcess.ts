// A process of 0.2: a client and a worker of its engine, whose sources are in the folder of the first argument.
import { once } from 'node:events'
import pg from 'pg'
import { z } from 'zod'
import { importEngine } from './engineBefore.ts'
import type { UpgradeSize } from './runUpgrade.ts'

const [, , folder = '', databaseUrl = '', sizes = '{}'] = process.argv
const { waiting, delayed, dead } = JSON.parse(sizes) as UpgradeSize
const { defineJob, createJobsClient, createWorker, migrate } = await importEngine(folder)

const silent = () => undefined
const log = { debug: silent, info: silent, warn: silent, error: silent }
const pool = new pg.Pool({ connectionString: databaseUrl, application_name: 'a host', max: 4 })

const parcel = defineJob({ name: 'parcel', payload: z.looseObject({}) })
const fragile = defineJob({
  name: 'fragile',
  payload: z.looseObject({}),
  retry: { limit: 0 },
})
const held = defineJob({ name: 'held', payload: z.looseObject({}) })
const jobs = [parcel, fragile, held]
await migrate({ databaseUrl, jobs, log })

const client = createJobsClient({ databaseUrl, log })
await client.start()
const HOUR_MS = 3_600_000
const CHUNK = 1_000

async function enqueue(job: object, count: number, optionsOf: (n: number) => object) {
  for (let from = 0; from < count; from += CHUNK) {
    const length = Math.min(CHUNK, count - from)
    const items = Array.from({ length }, (_, at) => ({
      // Some payloads are too long for the rows that move.
      payload: { n: from + at, text: 'x'.repeat((from + at) % 50 === 0 ? 2_000 : 20) },
      options: optionsOf(from + at),
    }))
    await client.enqueueMany(pool, job, items)
  }
}

await enqueue(fragile, dead, () => ({}))
await enqueue(held, 20, () => ({}))
const worker = createWorker({
  databaseUrl,
  client: pool,
  jobs: [fragile, held],
  handlers: {
    fragile: async () => {
      throw new Error('broken')
    },
    // Its runs are under way when the process is killed: some have committed a batch, and others have said nothing.
    async held({
      payload,
      batch,
    }: {
      payload: { n: number }
      batch: (work: () => Promise<object>) => Promise<object>
    }) {
      if (payload.n % 2 === 0) await batch(() => Promise.resolve({ done: 1 }))
      await once(process, 'never')
    },
  },
  retention: false,
  log,
})
await worker.start()
const count = async (sql: string) =>
  Number((await pool.query<{ count: string }>(sql)).rows[0]?.count)
while ((await count(`select count(*) from roundsman.job where state = 'failed'`)) < dead)
  await new Promise((resolve) => setTimeout(resolve, 100))
while (
  (await count(
    `select (select count(*) from roundsman."JobRun" where "status" = 'running')
          + (select coalesce(sum(cardinality("runIds")), 0) from roundsman."JobStart") as count`,
  )) === 0
)
  await new Promise((resolve) => setTimeout(resolve, 100))
await enqueue(parcel, waiting, (n) => ({
  priority: n % 100 === 0 ? 5 : 0,
  ...(n % 10 === 0 && { uniqueKey: `key ${n}` }),
}))
await enqueue(parcel, delayed, () => ({ startAfter: new Date(Date.now() + HOUR_MS) }))
// The worker goes on until the process is killed.
process.stdout.write('filled\n')
