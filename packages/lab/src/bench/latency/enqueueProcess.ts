// Enqueues one job after the other in one of two ways, each in a Prisma transaction of its own.
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { createDatabaseClient } from '@roundsman/db'
import { createJobsClient } from '@roundsman/engine/client'
import { defineJob } from '@roundsman/engine'
import { migrate } from '@roundsman/engine/migrate'
import { fromPrisma, PgBoss } from 'pg-boss'
import { z } from 'zod'
import { log } from '../openServer.ts'

const WARM_UP = 300
const job = defineJob({
  name: 'noop',
  description: 'Does nothing.',
  payload: z.strictObject({ n: z.int() }),
})

const [, , side = '', url = '', count = '0'] = process.argv
const input = createInterface({ input: process.stdin })
// The process that started this one is gone.
input.once('close', () => process.exit(1))

await migrate({ schema: 'public', databaseUrl: url, log })
const prisma = createDatabaseClient({
  url,
  applicationName: 'bench',
  // As in the API. Other statements are not kept.
  canPrepare: () => true,
  onPoolError: () => undefined,
})
const send = side === 'roundsman' ? await openClient() : await openBareQueue()
for (let n = 0; n < WARM_UP; n++) await send(n)
process.stdout.write('ready\n')
await once(input, 'line')
const startedAtMs = performance.now()
for (let n = 0; n < Number(count); n++) await send(n)
process.stdout.write(`took ${performance.now() - startedAtMs}\n`)
process.exit(0)

async function openClient(): Promise<(n: number) => Promise<unknown>> {
  const client = createJobsClient({ schema: 'public', databaseUrl: url, log })
  await client.start()
  return (n) => prisma.$transaction((tx) => client.enqueue(tx, job, { n }))
}

/** pg-boss, called by hand, with tables of its own. */
async function openBareQueue(): Promise<(n: number) => Promise<unknown>> {
  const boss = new PgBoss({ connectionString: url, schedule: false, supervise: false })
  await boss.start()
  await boss.createQueue('noop')
  return (n) => prisma.$transaction((tx) => boss.send('noop', { n }, { db: fromPrisma(tx) }))
}
