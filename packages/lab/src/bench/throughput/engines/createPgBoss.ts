import pg from 'pg'
import { PgBoss } from 'pg-boss'
import type { CreateEngine } from '../engine.ts'

export interface PgBossSettings {
  batchSize: number
  localConcurrency: number
  perJobResults: boolean
  /** Whether a new job wakes the worker. If not, the worker looks for work twice a second. */
  notify: boolean
}

interface Data {
  n: number
}

const QUEUE = 'noop'
const CHUNK = 5_000

/** pg-boss alone, with its own `work`. Nothing records what it does. */
export const createPgBoss: CreateEngine<PgBossSettings> = async (url, settings) => {
  const { perJobResults, notify, ...sizes } = settings
  const boss = new PgBoss({ connectionString: url, schedule: false, useListenNotify: notify })
  boss.on('error', (error) => process.stderr.write(`${String(error)}\n`))
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  return {
    async enqueue(count) {
      const producer = new PgBoss({ connectionString: url, schedule: false, supervise: false })
      await producer.start()
      await producer.createQueue(QUEUE, { notify })
      for (let from = 0; from < count; from += CHUNK) {
        const jobs = Array.from({ length: Math.min(CHUNK, count - from) }, (_, index) => ({
          data: { n: from + index },
        }))
        await producer.insert(QUEUE, jobs)
      }
      await producer.stop({ graceful: false })
      await pool.query('select 1')
    },
    async openProducer() {
      const producer = new PgBoss({ connectionString: url, schedule: false, supervise: false })
      await producer.start()
      await producer.createQueue(QUEUE, { notify })
      return {
        async send(n) {
          await producer.send(QUEUE, { n })
          return null
        },
        close: () => producer.stop({ graceful: false }),
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
