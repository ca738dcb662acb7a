import pg from 'pg'
import { fromPrisma, PgBoss } from 'pg-boss'
import { inChunks, type CreateEngine } from '../engine.ts'
import { openPrisma } from './createRoundsman.ts'

export interface PgBossSettings {
  batchSize: number
  localConcurrency: number
  perJobResults: boolean
  /** Whether a new job wakes the worker. If not, the worker looks for work twice a second. */
  notify: boolean
  /** Whether single jobs are enqueued in a Prisma transaction. Default: each by itself. */
  inTransaction?: boolean
}

interface Data {
  n: number
}

const QUEUE = 'noop'

/** pg-boss alone, with its own `work`. Nothing records what it does. */
export const createPgBoss: CreateEngine<PgBossSettings> = async (url, settings) => {
  const { perJobResults, notify, inTransaction = false, ...sizes } = settings
  const boss = new PgBoss({ connectionString: url, schedule: false, useListenNotify: notify })
  boss.on('error', (error) => process.stderr.write(`${String(error)}\n`))
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  const startProducer = async () => {
    const producer = new PgBoss({ connectionString: url, schedule: false, supervise: false })
    await producer.start()
    await producer.createQueue(QUEUE, { notify })
    return producer
  }
  return {
    async enqueue(count) {
      const producer = await startProducer()
      for (const jobs of inChunks(count, (n) => ({ data: { n } }))) {
        await producer.insert(QUEUE, jobs)
      }
      await producer.stop({ graceful: false })
      await pool.query('select 1')
    },
    async openProducer() {
      const producer = await startProducer()
      const prisma = inTransaction ? openPrisma(url) : null
      return {
        async send(n) {
          if (prisma === null) await producer.send(QUEUE, { n })
          else {
            await prisma.$transaction((tx) => producer.send(QUEUE, { n }, { db: fromPrisma(tx) }))
          }
          return null
        },
        async close() {
          await producer.stop({ graceful: false })
          await prisma?.$disconnect()
        },
      }
    },
    async start(onHandled) {
      await boss.start()
      const options = { ...sizes, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }
      if (perJobResults) {
        await boss.work<Data>(QUEUE, { ...options, perJobResults: true }, async (jobs) =>
          jobs.map(({ id, data }) => {
            onHandled(data.n)
            return { id, status: 'completed' as const }
          }),
        )
      } else {
        await boss.work<Data>(QUEUE, options, async (jobs) => {
          for (const { data } of jobs) onHandled(data.n)
        })
      }
    },
    async isSettled() {
      const { rows } = await pool.query<{ open: boolean }>(
        `select exists (select from pgboss.job where name = 'noop' and state < 'completed') as open`,
      )
      return rows[0]?.open === false
    },
    async count() {
      const { rows } = await pool.query<{ left: number }>(
        `select count(*)::int as left from pgboss.job where name = 'noop' and state <> 'completed'`,
      )
      return { left: rows[0]?.left ?? NaN, audited: null }
    },
    async close() {
      await boss.stop({ graceful: false })
      await pool.end()
    },
  }
}
