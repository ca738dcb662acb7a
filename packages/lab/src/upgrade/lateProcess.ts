// A client of 0.2 on whatever tables it finds: it starts, migrates, and enqueues as one that has started before. The first
// argument is the folder of its engine.
import pg from 'pg'
import { z } from 'zod'
import { importEngine } from './engineBefore.ts'

const [, , folder = '', databaseUrl = ''] = process.argv
const { createJobsClient, defineJob, migrate } = await importEngine(folder)
const client = createJobsClient({ databaseUrl })
const pool = new pg.Pool({ connectionString: databaseUrl, application_name: 'a host' })
const parcel = defineJob({ name: 'parcel', payload: z.looseObject({}) })
const tries = [
  () => client.start(),
  () => migrate({ databaseUrl }),
  () => client.enqueue(pool, parcel, {}),
  () => client.enqueue(pool, parcel, {}, { uniqueKey: 'a' }),
  () => client.enqueue(pool, parcel, {}, { uniqueKey: 'a', onConflict: 'replace' }),
]
for (const one of tries) {
  const told = await one().then(
    () => 'it went well',
    (error: unknown) => (error as Error).message,
  )
  process.stdout.write(`told: ${told}\n`)
}
await client.stop()
await pool.end()
