import type { Job } from '../job/defineJob.ts'
import type { TraceEnqueue } from '../job/enqueue.ts'
import { createEnqueue } from '../queue/enqueueWork.ts'
import { storableText } from '../values/storableText.ts'
import { createSession, type Session } from '../liveness/session.ts'
import { createAnnouncer } from '../read/announcer.ts'
import { createCancellations } from '../run/cancellations.ts'
import type { ContainedLog } from '../database/containedLog.ts'
import { openDatabase, type Database } from '../database/database.ts'
import { GIVE_WAY_AFTER_MS } from '../database/giveWay.ts'
import type { Schema } from '../database/schema.ts'
import { settlesWithin } from '../database/settlesWithin.ts'
import { createWaker } from '../database/waker.ts'
import { createWakeUps } from '../work/wakeUps.ts'
import { countLanes } from './chooseJobs.ts'

const MAX_VERSION_LENGTH = 100
/** How long each part of a worker may take to close. In all a stop takes up to 15 s beyond the drain's time-out. */
export const CLOSE_TIMEOUT_MS = 1_000

/** Puts together what of a worker talks with PostgreSQL. Nothing connects before it is used or started. */
export function openPostgres(options: {
  databaseUrl: string
  schema: Schema
  workerId: string
  /** Shown in the list of connections. */
  what: 'engine' | 'once'
  /** The version of the host's product. Default: unknown. */
  version?: string | undefined
  /** The jobs whose work the worker takes, and how many runs of each at once, for jobs without a number. Default: none. */
  taken?: readonly Job[]
  /** All jobs of its definitions. Default: none. */
  jobs?: readonly Job[]
  concurrency?: number
  traceEnqueue: TraceEnqueue | undefined
  log: ContainedLog
}) {
  const { databaseUrl: url, schema, workerId, what, version, log } = options
  const { taken = [], jobs = [], concurrency = 1 } = options
  /** A pool for all statements. */
  const database: Database = openDatabase({
    url,
    applicationName: `roundsman ${workerId} ${what}`,
    schema,
    ...(what === 'once' && { poolSize: 2 }),
    isSession: true,
    lockTimeoutMs: GIVE_WAY_AFTER_MS,
    log,
  })
  /** The one connection that lasts as long as the worker: others see by it that the worker lives. */
  const session: Session = createSession({
    url,
    database,
    workerId,
    version: version === undefined ? null : storableText(version, MAX_VERSION_LENGTH),
    lanes: Object.fromEntries(
      taken.map((job) => [job.name, job.isExclusive ? 1 : countLanes(job, concurrency)]),
    ),
    jobs: jobs.map(({ name }) => name),
    onLost: database.doubt,
    log,
  })
  /** Notifies workers of new work. */
  const waker = createWaker(database, log)
  /** Receives the notifications of other processes' wakers. */
  const wakeUps = createWakeUps(database)
  const sender = { waker, log, traceEnqueue: options.traceEnqueue }
  /** Enqueues for the handler of a run, in its own transaction. */
  const enqueueFrom = (runId: string) => createEnqueue(sender, schema, runId)
  /** Notifies consoles of changes. */
  const announcer = createAnnouncer(database, log)
  /** Receives requests to cancel runs. */
  const cancellations = createCancellations({ database, session, wakeUps, workerId })
  return { database, session, sender, enqueueFrom, waker, wakeUps, announcer, cancellations, close }

  /** Closes everything, in any state. It waits for nothing that does not answer, and leaves nothing that keeps the process. */
  async function close(): Promise<void> {
    wakeUps.stop()
    await settlesWithin(Promise.all([waker.stop(), announcer.stop()]), CLOSE_TIMEOUT_MS)
    // After all others: it releases the lock that shows that this worker lives.
    await session.stop()
    await database.close({ timeoutMs: CLOSE_TIMEOUT_MS })
  }
}
