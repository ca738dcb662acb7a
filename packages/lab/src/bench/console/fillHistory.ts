import { isScheduled } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import pg from 'pg'
import { fillRuns, LIVING_WORKER, RARE_CODE, runsSql } from '../fillRuns.ts'
import { withClient } from '../openServer.ts'
import { CONSOLE_JOBS } from './consoleJobs.ts'
import { log, migrateEngine, openPrisma } from '../../product.ts'

export interface HistorySize {
  runs: number
  waiting: number
  deadLetters: number
}

/**
 * A history up to two minutes ago: of a hundred runs one has failed, in seven ways and a rare one; of a thousand one was
 * started by a person, and another took long. Half of the labels are one of a kind, the others those of customers.
 * Beside it work that waits, and dead letters.
 */
export async function fillHistory(url: string, size: HistorySize, seed: number): Promise<void> {
  await migrateEngine(url)
  await defineSchedules(url)
  await withClient(url, async (client) => {
    const jobs = CONSOLE_JOBS.map(({ job, ...lies }) => ({
      ...lies,
      name: job.name,
      isScheduled: isScheduled(job),
    }))
    await fillRuns(client, runsSql(size.runs, seed, jobs))
    await client.query(WAITING_SQL, [size.waiting])
    await client.query(DEAD_LETTERS_SQL, [size.deadLetters])
    await client.query('vacuum analyze "JobWork", "JobDeadLetter"')
    await client.query('checkpoint')
  })
}

/** As a worker does that starts. */
async function defineSchedules(url: string): Promise<void> {
  const client = openPrisma(url, 'bench')
  const jobs = CONSOLE_JOBS.map(({ job }) => job)
  const handlers = Object.fromEntries(jobs.map(({ name }) => [name, async () => undefined]))
  const settings = { schema: 'public', databaseUrl: url, retention: false } as const
  const worker = createWorker({ ...settings, client, jobs, handlers, log })
  try {
    await worker.start()
  } finally {
    await worker.stop()
    await client.$disconnect()
  }
}

/** A worker that lives as long as this connection, and takes nothing. */
export async function openLivingWorker(url: string): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: url, application_name: 'bench worker' })
  client.on('error', () => undefined)
  await client.connect()
  await client.query('select pg_advisory_lock(hashtextextended($1, 0))', [LIVING_WORKER])
  const lanes = Object.fromEntries(CONSOLE_JOBS.map(({ job }) => [job.name, job.concurrency]))
  await client.query(
    `insert into "JobWorker" ("id", "liveness", "startedAt", "version", "lanes")
     values ($1, 'lock', now() - interval '3 hours', 'b1946ac92492', $2)`,
    [LIVING_WORKER, JSON.stringify(lanes)],
  )
  return () => client.end()
}

/** Most of it is due, and each tenth for later. */
const WAITING_SQL = `
  insert into "JobWork" ("id", "name", "place", "dueAt", "bytes", "label", "payload")
  select gen_random_uuid(), case when n % 4 = 0 then 'renderInvoice' else 'sendMail' end,
         case when n % 10 <> 0 then nextval('"JobPlace"') end,
         now() + case when n % 10 = 0 then interval '1 hour' else interval '-1 minute' end + n * interval '1 ms',
         2, 'customer ' || n, '{}'
  from generate_series(1, $1::int) n`

const DEAD_LETTERS_SQL = `
  insert into "JobDeadLetter" ("id", "name", "attempt", "failures", "bytes", "label", "enqueuedAt", "failedAt", "errorCode",
    "errorMessage", "payload")
  select gen_random_uuid(), case when n % 50 = 0 then 'syncOrder' else 'sendMail' end, 3, 3, 2, 'customer ' || n, at, at,
         case when n % 1000 = 0 then '${RARE_CODE}' when n % 3 = 0 then 'order_invalid' else 'shop_unavailable' end,
         'The shop refuses it', '{}'
  from generate_series(1, $1::int) n
  cross join lateral (select now() - n * interval '1 minute' as at) failed`
