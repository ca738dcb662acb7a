import { run, makeWorkerUtils, Logger, type Runner } from 'graphile-worker'
import pg from 'pg'
import { inChunks, type CreateEngine } from '../engine.ts'

export interface GraphileWorkerSettings {
  concurrentJobs: number
  /** How many jobs it fetches ahead. 0: one at a time. */
  localQueue: number
  /** Whether each job writes a row about what it did. */
  audit: boolean
}

const logger = new Logger(() => () => undefined)

/** Its audit is one INSERT for each job, into the table of our runs, with that table's indexes. */
const AUDIT_SQL = `
  insert into "JobRun" ("id", "name", "status", "trigger", "startedAt", "endedAt", "workerId")
  values (gen_random_uuid(), 'noop', 'success', 'queue', now(), now(), 'graphile-worker')`

export const createGraphileWorker: CreateEngine<GraphileWorkerSettings> = async (url, settings) => {
  const { concurrentJobs, localQueue, audit } = settings
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  let runner: Runner | undefined
  return {
    async enqueue(count) {
      const utils = await makeWorkerUtils({ connectionString: url, logger })
      await utils.migrate()
      for (const jobs of inChunks(count, (n) => ({ identifier: 'noop', payload: { n } }))) {
        await utils.addJobs(jobs)
      }
      await utils.release()
      await pool.query('select 1')
    },
    async openProducer() {
      const utils = await makeWorkerUtils({ connectionString: url, logger })
      await utils.migrate()
      return {
        async send(n) {
          await utils.addJob('noop', { n })
          return null
        },
        close: async () => await utils.release(),
      }
    },
    async start(onHandled) {
      runner = await run({
        connectionString: url,
        maxPoolSize: concurrentJobs,
        logger,
        noHandleSignals: true,
        preset: {
          worker: {
            concurrentJobs,
            maxPoolSize: concurrentJobs,
            ...(localQueue > 0 && {
              localQueue: { size: localQueue },
              completeJobBatchDelay: 0,
              failJobBatchDelay: 0,
            }),
          },
        },
        taskList: {
          noop: async (payload, helpers) => {
            if (audit) await helpers.query(AUDIT_SQL)
            onHandled((payload as { n: number }).n)
          },
        },
      })
    },
    async isSettled() {
      const { rows } = await pool.query<{ open: boolean }>(
        `select exists (select from graphile_worker._private_jobs) as open`,
      )
      return rows[0]?.open === false
    },
    async count() {
      const { rows } = await pool.query<{ left: number; audited: number }>(
        `select (select count(*)::int from graphile_worker._private_jobs) as left,
                (select count(*)::int from "JobRun") as audited`,
      )
      return { left: rows[0]?.left ?? NaN, audited: audit ? (rows[0]?.audited ?? 0) : null }
    },
    async close() {
      await runner?.stop()
      await pool.end()
    },
  }
}
