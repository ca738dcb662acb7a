import { createDatabaseClient } from '@roundsman/db'
import { RUNS_UNDER_WAY } from '@roundsman/engine/internal'
import { defineJob } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import pg from 'pg'
import { z } from 'zod'
import { inChunks, type CreateEngine } from '../engine.ts'
import { createClient, log, migrateEngine } from '../../../product.ts'

export interface RoundsmanSettings {
  concurrency: number
  /** Whether single jobs are enqueued in a Prisma transaction. Default: each by itself. */
  inTransaction?: boolean
}

/** As the API has it. */
export function openPrisma(url: string) {
  return createDatabaseClient({
    url,
    applicationName: 'bench',
    canPrepare: () => true,
    onPoolError: () => undefined,
  })
}

/** The engine as the worker process has it: every run is recorded before its handler starts. */
export const createRoundsman: CreateEngine<RoundsmanSettings> = async (
  url,
  { concurrency, inTransaction = false },
) => {
  const job = defineJob({
    name: 'noop',
    payload: z.strictObject({ n: z.int() }),
    concurrency,
  })
  await migrateEngine(url)
  const prisma = openPrisma(url)
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  let onDone: (n: number) => void = () => undefined
  const worker = createWorker({
    schema: 'public',
    retention: false,
    databaseUrl: url,
    client: prisma,
    jobs: [job],
    handlers: {
      noop: async ({ payload }) => onDone(payload.n),
    },
    log,
  })
  return {
    async enqueue(count) {
      const client = createClient(url)
      await client.start()
      for (const items of inChunks(count, (n) => ({ payload: { n } }))) {
        await prisma.$transaction((tx) => client.enqueueMany(tx, job, items), { timeout: 60_000 })
      }
      await client.stop()
      await pool.query('select 1')
    },
    async openProducer() {
      const client = createClient(url)
      await client.start()
      return {
        async send(n) {
          if (inTransaction) {
            return await prisma.$transaction(async (tx) => {
              await client.enqueue(tx, job, { n })
              return process.hrtime.bigint()
            })
          }
          await client.enqueueNow(job, { n })
          return null
        },
        close: () => client.stop(),
      }
    },
    async start(onHandled) {
      onDone = onHandled
      await worker.start()
    },
    async isSettled() {
      const { rows } = await pool.query<{ open: boolean }>(
        `select exists (select from "JobWork" where "name" = 'noop') or exists (select from ${RUNS_UNDER_WAY}) as open`,
      )
      return rows[0]?.open === false
    },
    async count() {
      const { rows } = await pool.query<{ left: number; audited: number }>(
        `select (select count(*)::int from "JobWork" where "name" = 'noop') as left,
                (select count(*)::int from "JobRun" where "status" = 'success') as audited`,
      )
      return { left: rows[0]?.left ?? NaN, audited: rows[0]?.audited ?? 0 }
    },
    async close() {
      await worker.stop()
      await pool.end()
      await prisma.$disconnect()
    },
  }
}
