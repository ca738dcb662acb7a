import { setTimeout as delay } from 'node:timers/promises'
import type { HostLogger } from '../job/logger.ts'
import { v7 as uuid } from 'uuid'
import { isEngineJob } from '../job/engineJobs.ts'
import type { Details, Handler } from '../job/handler.ts'
import type { HostClient, TransactionOf } from '../job/hostTypes.ts'
import type { Job } from '../job/defineJob.ts'
import type { TraceEnqueue } from '../job/enqueue.ts'
import { openRetention, type Retention } from '../control/pruneJobRuns.ts'
import { checkOnceOptions, checkRetention } from '../arguments/worker.ts'
import { keyOfPayload } from '../job/limits.ts'
import { labelWork } from '../job/labelWork.ts'
import { storablePayload } from '../job/storablePayload.ts'
import { storableText } from '../values/storableText.ts'
import { combineObservers } from '../run/combineObservers.ts'
import { recogniseHost } from '../database/callersTransaction.ts'
import { containedLog } from '../database/containedLog.ts'
import { boundedClock } from '../tick/boundedClock.ts'
import { createWorkerId } from './createWorker.ts'
import { expectSession } from '../database/findPooler.ts'
import { isAliveSql } from '../database/workerLock.ts'
import { findLostClaims } from '../queue/lostClaims.ts'
import type { WorkerObserver } from '../run/observer.ts'
import { pauseAfter } from '../run/pauseAfter.ts'
import { performRun, type RunServices } from '../run/performRun.ts'
import { takeDeadLetter, type TakenDeadLetter } from '../control/deadLetters.ts'
import { claimByHand } from '../queue/claimByHand.ts'
import { readPayload } from '../queue/envelope.ts'
import { claimTerms } from '../queue/claimTerms.ts'
import { RESCUE_GRACE_MS, rescueLostRuns } from '../liveness/rescue.ts'
import { checkTables } from '../tables/tablesState.ts'
import { LONG } from '../database/database.ts'
import { mendPlaces } from '../queue/mendPlaces.ts'
import { createSchema } from '../database/schema.ts'
import { createIsolation } from '../isolation/isolation.ts'
import { createLiveLogs } from '../run/liveLogs.ts'
import { createSettler } from '../run/settler.ts'
import type { FullLimit } from '../queue/limitSql.ts'
import type { Taken } from '../queue/taken.ts'
import { executorOf } from '../steps/executeSteps.ts'
import { createMemoWriter } from '../steps/memoWriter.ts'
import { tryUntilFree } from '../database/waitForLocks.ts'
import { openPostgres } from './openPostgres.ts'
import { registerLimits } from './registerLimits.ts'

export interface RunOnceOptions<J extends Job, Client extends HostClient> {
  databaseUrl: string
  /** The schema in which `migrate` made the tables. Default `roundsman`. */
  schema?: string | undefined
  client: Client
  job: J
  /** Undefined only for the engine's own job, `pruneJobRuns`. */
  handler: Handler<never, TransactionOf<Client>> | undefined
  /** The same as `retention` of createWorker, for a run of `pruneJobRuns`. */
  retention?: Retention
  /** The same as `handlersModule` of createWorker: isolated jobs then run in a child process. Default: in this process. */
  handlersModule?: URL | string | undefined
  /** Checked and converted to JSON, as `enqueue` does. Default: an empty object. */
  payload?: unknown
  /** The id of a dead letter: the run is its next attempt, has its payload, and settles it. */
  deadLetter?: string
  /** Rolls all batches back at the end. Only of a job that declares `dryRun`, and not with `deadLetter`, a real attempt. Default false. */
  dryRun?: boolean
  /** The person who asks, as recorded in the run. Default: none. */
  actor?: string
  /** pino, Fastify's `app.log`, winston, `console` and the like. Default: warnings and errors go to standard error. */
  log?: HostLogger | undefined
  /** The same as `keepLogs` of createWorker. Default true. */
  keepLogs?: boolean
  /** The same as `version` of createWorker. Default: none. */
  version?: string | undefined
  /** Observers of the run, and of runs that it rescues. Default: none. */
  observers?: readonly WorkerObserver[]
  /** Traces what the handler enqueues. Default: nothing is traced. */
  traceEnqueue?: TraceEnqueue | undefined
  /** Aborts the run's own signal. */
  signal?: AbortSignal
  now?: () => Date
}

/**
 * How it ended, or why it did not start.
 *   alreadyRunning  As many runs are under way as the job's overlap, or a limit over all workers (`fullLimit`), allows.
 *   alreadyQueued   Work with the dead letter's unique key waits or runs: this one.
 *   noDeadLetter    There is no dead letter of this job with the given id.
 *   lost            Another process ended the run, because it saw this one without its lock.
 */
export type RunOnceResult =
  | { kind: 'ended'; run: FinishedRun }
  | {
      kind: 'alreadyRunning'
      /** The run that holds the job by its overlap. Null: there is none any more, or a limit is full. */
      runId: string | null
      workerId: string | null
      /** The limit over all workers that has no room. Absent: the job's overlap does not allow the run. */
      fullLimit?: FullLimit
    }
  | { kind: 'alreadyQueued'; workId: string }
  | { kind: 'noDeadLetter'; workId: string }
  | { kind: 'lost'; runId: string }

/** Thrown to roll the taking of the dead letter back. */
class NotRecorded extends Error {}

/** How often to ask whether others can see that this process lives. A session that was cut is back in half a second. */
const MAX_ALIVE_TRIES = 8

export interface FinishedRun {
  id: string
  name: string
  status: 'success' | 'failed'
  trigger: 'cli'
  dryRun: boolean
  startedAt: Date
  endedAt: Date
  durationMs: number
  details: Details | null
}

/**
 * Runs one job here and now, as a person asks. The run is recorded, fenced and rescued like any other, but does not come from
 * the queue: it needs no worker, and is not retried if this process dies. The result describes its end, even when the handler
 * failed.
 * @throws ArgumentError which names the option, and JobError `payload_invalid`, before anything is asked of the database
 * @throws TablesError when the tables do not fit this version: run `migrate`, or this version is too old
 */
export async function runOnce<J extends Job, Client extends HostClient>(
  options: RunOnceOptions<J, Client>,
): Promise<RunOnceResult> {
  const given = checkOnceOptions(options, isEngineJob)
  const { job, handlersModule, payload = {} } = given
  const stored = given.deadLetter === undefined ? storablePayload(job, payload) : null
  const { databaseUrl, version, traceEnqueue, retention = checkRetention('retention', {}) } = given
  const log = containedLog(given.log)
  const now = boundedClock(given.now)
  const workerId = createWorkerId()
  const schema = createSchema(given.schema)
  recogniseHost(options.client, schema, 'client')
  const isolation =
    job.isolate === null || handlersModule === undefined
      ? null
      : createIsolation({ handlersModule, jobs: [job], databaseUrl, schema, workerId, log })
  const postgres = openPostgres({
    databaseUrl,
    schema,
    workerId,
    what: 'once',
    version,
    traceEnqueue,
    log,
  })
  const { database, session, cancellations } = postgres
  const observers = combineObservers(given.observers ?? [], log)
  let full: FullLimit | undefined
  let letter = { kind: 'notFound' } as TakenDeadLetter
  const { actor, dryRun = false } = given
  const { label, shown } = stored === null ? {} : labelWork(job, stored.accepted, log)
  const asked = {
    claimId: uuid(),
    runId: uuid(),
    name: job.name,
    ...claimTerms(job, dryRun),
    facts: {
      trigger: 'cli' as const,
      ...(actor !== undefined && { actor: storableText(actor, 500) }),
      ...(dryRun && { dryRun }),
      ...(shown && { shown }),
    },
    payload: stored?.payload,
    label,
  }
  try {
    await expectSession(databaseUrl)
    await checkTables(database)
    await database.transaction(mendPlaces, LONG)
    await session.start()
    await cancellations.start()
    await onceFree(() =>
      database.transaction((tx) =>
        registerLimits(tx, { workerId, jobs: [job], version, isByHand: true }),
      ),
    )
    const abort = () => cancellations.abortAll(given.signal?.reason)
    if (given.signal?.aborted) abort()
    else given.signal?.addEventListener('abort', abort, { once: true })
    let taken = await record()
    if (given.deadLetter !== undefined && letter.kind !== 'taken') {
      return letter.kind === 'alreadyQueued'
        ? letter
        : { kind: 'noDeadLetter', workId: given.deadLetter }
    }
    // A run whose process has died would block this one until a worker starts, also one of another job under the same limit, so
    // end it. Wait for the grace first: after a
    // restart of PostgreSQL, processes that live have to come back.
    if (taken === null && (await findLostClaims(database, workerId)).length > 0) {
      await delay(RESCUE_GRACE_MS)
      await rescueLostRuns({ database, workerId, log, now, observers })
      taken = await record()
    }
    if (taken === null && full !== undefined)
      return { kind: 'alreadyRunning', runId: null, workerId: null, fullLimit: full }
    if (taken === null) {
      const { rows } = await database.query<{ id: string; workerId: string }>(
        `select "runIds"[1] as "id", "workerId" from "JobClaim" where "exclusiveKey" = $1`,
        [asked.exclusiveKey],
      )
      return {
        kind: 'alreadyRunning',
        runId: rows[0]?.id ?? null,
        workerId: rows[0]?.workerId ?? null,
      }
    }
    return await perform(taken)
  } finally {
    await isolation?.stop()
    await postgres.close()
  }

  async function onceFree<Value>(part: () => Promise<Value>): Promise<Value> {
    return await tryUntilFree(part, (err) =>
      log.warn({ err }, 'the run starts once others have released their locks'),
    )
  }

  /** Records the run, but only while others can see that this process lives. Otherwise they would end the run at once. */
  async function record(): Promise<Taken | null> {
    for (let tries = 1; ; tries++) {
      const askedAt = performance.now()
      const taken = await onceFree(tryToRecord)
      if (taken !== 'notAlive') return taken
      session.doubt(askedAt)
      if (tries === MAX_ALIVE_TRIES) {
        throw new Error(
          'Other workers cannot see that this process is alive, because its connection to the database does not last; use a direct one',
        )
      }
      await pauseAfter(tries)
    }
  }

  /** `notAlive`: others cannot see that this process lives. Null: there is nothing to take, or another run holds the job. */
  async function tryToRecord(): Promise<Taken | 'notAlive' | null> {
    return await database
      .transaction(async (tx) => {
        const isAlive = `select ${isAliveSql('$1')} as "isAlive"`
        const { rows } = await tx.query<{ isAlive: boolean }>(isAlive, [workerId])
        if (!rows[0]?.isAlive) return 'notAlive'
        if (given.deadLetter !== undefined) {
          letter = await takeDeadLetter(tx, job.name, given.deadLetter)
          if (letter.kind !== 'taken') return null
        }
        const work = letter.kind === 'taken' ? letter.work : undefined
        const taken = await claimByHand(tx, workerId, {
          ...asked,
          // Connecting, and ending a lost run, do not count as its time.
          startedAt: now(),
          key: keyOfPayload(job, work === undefined ? asked.payload : readPayload(work)),
          letter: work,
        })
        full = taken !== null && 'full' in taken ? taken.full : undefined
        if (taken !== null && !('full' in taken)) return taken
        if (letter.kind === 'taken') throw new NotRecorded()
        return null
      })
      .catch((error: unknown) => {
        if (error instanceof NotRecorded) return null
        throw error
      })
  }

  async function perform(taken: Taken): Promise<RunOnceResult> {
    const its = isEngineJob(job)
      ? openRetention(retention, [job], database)
      : { client: options.client, handler: given.handler }
    const memos = createMemoWriter({ database, workerId, log })
    const services: RunServices = {
      client: its.client,
      settler: createSettler({ database, workerId, log, observers }),
      cancellations,
      database,
      enqueueFrom: postgres.enqueueFrom,
      workerId,
      log,
      now,
      observers,
      keepLogs: given.keepLogs,
      liveLogs: createLiveLogs({
        connection: database,
        workerId,
        now,
      }),
    }
    const ending = await performRun(services, taken, {
      job,
      handler: its.handler as Handler<never, never>,
      execute:
        isolation?.execute ??
        executorOf(job, { database, memos, sender: postgres.sender, workerId }),
    })
    const { id, name, startedAt } = taken
    // A run by hand is never suspended.
    if (ending.kind === 'lost' || ending.kind === 'suspended') return { kind: 'lost', runId: id }
    const { kind: status, durationMs, details } = ending
    const endedAt = new Date(startedAt.getTime() + durationMs)
    return {
      kind: 'ended',
      run: { id, name, status, trigger: 'cli', dryRun, startedAt, endedAt, durationMs, details },
    }
  }
}
