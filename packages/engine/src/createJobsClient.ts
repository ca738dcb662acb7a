import type { HostLogger } from './job/logger.ts'
import type {
  Enqueue,
  EnqueueResult,
  HostTransaction,
  Job,
  ResultOf,
  TraceEnqueue,
  WorkItem,
} from './index.ts'
import { anyPayload } from './job/standardSchema.ts'
import { readLabel, type Envelope } from './store/envelope.ts'
import { openDatabase, type Connection, type Database } from './store/database.ts'
import { createEnqueue, enqueueOne, enqueueWork, type EnqueuedJob } from './store/enqueueWork.ts'
import { containedLog } from './store/containedLog.ts'
import { readPlace, type DatabasePlace } from './store/connectionSettings.ts'
import { createSchema, type Schema } from './store/schema.ts'
import { WRITE_OUT_RUN_SQL } from './store/starts.ts'
import { createWaker } from './store/waker.ts'
import { inTransaction, recogniseHost } from './store/callersTransaction.ts'
import { checkTables } from './store/tablesState.ts'
import {
  discardDeadLetter,
  discardDeadLetters,
  redriveWork,
  type RedriveOutcome,
} from './control/deadLetters.ts'
import {
  keepsSnapshot,
  pauseJob,
  requestCancellation,
  resumeJob,
  findPayload,
  takeApproval,
  type Approval,
  type Cancellation,
  type Request,
} from './control/controlJobs.ts'
import { pauseQueue, resumeQueue } from './control/controlQueues.ts'
import {
  cancelWork,
  postponeWork,
  prioritiseWork,
  type WhichWork,
  type WorkChange,
  type WorkOutcome,
} from './control/controlWork.ts'
import { recordActions, storableActor, type Actor } from './control/recordActions.ts'
import { awaitResult, type AwaitResultOptions, type WorkResult } from './read/awaitResult.ts'
import { readerIn, readerOf, type Reader } from './read/reader.ts'
import { watchChanges, type ChangesWatch, type ChangesWatchOptions } from './read/watchChanges.ts'

export interface JobsClientOptions {
  databaseUrl: string
  /** In which `migrate` has made the tables. Default `roundsman`. */
  schema?: string | undefined
  /** Fastify's own will do: `app.log`. Default: warnings and errors go to standard error. */
  log?: Pick<HostLogger, 'warn' | 'error'> | undefined
  /** Default: nothing is traced. */
  traceEnqueue?: TraceEnqueue | undefined
}

/**
 * All of it happens in the caller's transaction, by whichever library (HostTransaction): if and only if that commits.
 * Where nothing else belongs to it, the client itself will do: `enqueue(client, …)` is one statement then. What a person may do takes null as well, and
 * then happens in a transaction of the client's own.
 *
 * What puts work into the queue throws JobError `payload_invalid`, with the issues in its details, before anything is
 * written, and QueueMissingError where no worker has ever known the job. A payload may have 8 MB as JSON and 64 levels.
 */
export interface JobsClient {
  readonly protocol: typeof CLIENT_PROTOCOL
  /** Where its database lies: for people, who may have several. */
  readonly place: DatabasePlace
  /**
   * Looks whether the tables go with this version; once they do, a second call does nothing.
   * @throws TablesError when they do not: `migrate` has to run, or this is too old
   */
  start(): Promise<void>
  stop(): Promise<void>
  /** On a few connections of the client's own, which it opens when they are needed. For all reading functions. */
  readonly reader: Reader
  /** The same within a transaction of the caller's. */
  readerIn(tx: HostTransaction): Reader
  /** Tells of what changes, until the watch is closed or the client stopped. */
  watchChanges(options: Omit<ChangesWatchOptions, 'databaseUrl' | 'schema' | 'log'>): ChangesWatch
  /** Whether connections to this database are sessions; false before a watch for changes has found out. */
  areConnectionsLasting(): boolean
  enqueue: Enqueue<HostTransaction>
  /**
   * Any number of pieces of work, with one statement for each 32 MB. The results stand in the order of the items.
   */
  enqueueMany<J extends Job>(
    tx: HostTransaction,
    job: J,
    items: readonly WorkItem<J>[],
  ): Promise<EnqueueResult[]>
  /**
   * Enqueues a run that a person wants, now or, where another one is under way, after it. Returns the
   * work's id in the queue.
   */
  requestRun(
    tx: HostTransaction | null,
    job: Job,
    request: Request & { dryRun?: boolean; payload?: unknown },
  ): Promise<string>
  /**
   * The same once more for what a run was about: with the payload of its work, which the queue holds as long as that is to
   * be tried again, and of what was given up until somebody discards it. Nobody is shown it.
   */
  runAgain(
    tx: HostTransaction | null,
    job: Job,
    runId: string,
    request: Request & { dryRun?: boolean },
  ): Promise<RunAgainOutcome>
  /**
   * Waits until a piece of work has ended, and answers what came of it: the result of a job that has one. Enqueued in a
   * transaction, it is known once that has committed. Rejects with the signal's reason once that is aborted.
   */
  result<J extends Job>(
    job: J,
    queueJobId: string,
    options?: AwaitResultOptions,
  ): Promise<WorkResult<ResultOf<J>>>
  /**
   * Stops a run that is under way, in whichever process: its handler's signal is aborted within a second
   * after the transaction has committed, and the run ends as failed with code `cancelled`.
   */
  cancelRun(
    tx: HostTransaction | null,
    runId: string,
    request: Request,
  ): Promise<'requested' | 'notRunning' | 'notFound'>
  /**
   * Lets a run that its guard has blocked be made up for: once, within a day, and for no more rows than
   * were counted. The new run's id in the queue is in the answer.
   */
  approveRun(tx: HostTransaction | null, runId: string, request: Request): Promise<ApproveOutcome>
  /** Ticks of a paused schedule are recorded as skipped. A run that is under way goes on. */
  pauseJob(
    tx: HostTransaction | null,
    name: string,
    request: Request,
  ): Promise<'paused' | 'alreadyPaused' | 'notScheduled'>
  /** The schedule goes on with its next tick; what was due meanwhile stays skipped. */
  resumeJob(
    tx: HostTransaction | null,
    name: string,
    by: Actor,
  ): Promise<'resumed' | 'notPaused' | 'notScheduled'>
  /**
   * No worker takes work of the job until its queue is resumed: neither what is enqueued nor what is to be retried. Its
   * runs that are under way go on, and so does its schedule, whose ticks put work into the queue. Workers of a version
   * before this one do not know of it, and go on.
   */
  pauseQueue(
    tx: HostTransaction | null,
    name: string,
    request: Request,
  ): Promise<'paused' | 'alreadyPaused' | 'notFound'>
  resumeQueue(
    tx: HostTransaction | null,
    name: string,
    by: Actor,
  ): Promise<'resumed' | 'notPaused' | 'notFound'>
  /** Takes waiting work out of the queue, without a run. What was enqueued with the same unique key may follow at once. */
  cancelWork(tx: HostTransaction | null, which: WhichWork, request: Request): Promise<WorkOutcome>
  /**
   * Has waiting work wait until `startAfter`: what is due later stays as it is. With an instant that is not in the future,
   * what is not due yet, retries included, becomes due now. When work expires stays as it is, too.
   * @throws TypeError when it is no valid date
   */
  postponeWork(
    tx: HostTransaction | null,
    which: WhichWork,
    request: Request & { startAfter: Date },
  ): Promise<WorkOutcome>
  /** @throws TypeError when the priority is no whole number of 32 bits */
  prioritiseWork(
    tx: HostTransaction | null,
    which: WhichWork,
    request: Request & { priority: number },
  ): Promise<WorkOutcome>
  /**
   * Gives dead letters of a job back to the queue, with as many attempts as the job grants anew: at most 10,000, the
   * oldest first, so that there may be more. The runs that follow carry who wanted it, and why.
   */
  redriveWork(
    tx: HostTransaction | null,
    job: Job,
    which: readonly string[] | 'all',
    request: Request,
  ): Promise<RedriveOutcome>
  /** The same, for who only wants to know how many were redriven. */
  redriveDeadLetters(
    tx: HostTransaction | null,
    job: Job,
    which: readonly string[] | 'all',
    request: Request,
  ): Promise<number>
  /** Removes a dead letter for good. What its runs have recorded stays. */
  discardDeadLetter(
    tx: HostTransaction | null,
    queueJobId: string,
    by: Actor,
  ): Promise<'discarded' | 'notFound'>
  /** The same of many, with one statement; returns how many were there still. */
  discardDeadLetters(
    tx: HostTransaction | null,
    letters: readonly { name: string; queueJobId: string }[],
    by: Actor,
  ): Promise<number>
}

export type RunAgainOutcome =
  | { kind: 'requested'; queueJobId: string }
  /** The queue does not hold its payload any more: one has to be given, to `requestRun`. */
  | { kind: 'payloadGone' }
  /** There is no run of this job with this id. */
  | { kind: 'notFound' }

export type ApproveOutcome =
  | { kind: 'approved'; queueJobId: string; rows: number }
  | { kind: 'notFound' | 'notBlocked' | 'tooLate' | 'alreadyApproved' }

/** Which of its shapes a client has; another package that is given one goes with one of them. */
export const CLIENT_PROTOCOL = 1

/** For what may be under way on a connection that has lost its other end. */
const CLOSE_TIMEOUT_MS = 1_000
/** For reading, and for transactions of the client's own. */
const POOL_SIZE = 5

/** All that a producer needs: it puts work into the queue, and neither schedules nor executes any. */
export function createJobsClient({ schema, ...options }: JobsClientOptions): JobsClient {
  return jobsClientIn(createSchema(schema), options)
}

/** The same in a schema of tests, too. */
export function jobsClientIn(
  schema: Schema,
  { databaseUrl, log: hostLog, traceEnqueue }: Omit<JobsClientOptions, 'schema'>,
): JobsClient {
  const log = containedLog(hostLog)
  // Work is sent on the caller's connection, and workers are told of it on this one.
  const database = openDatabase({
    url: databaseUrl,
    applicationName: 'roundsman client',
    schema,
    poolSize: 1,
    // A test or a script of the host's ends when its own work does, whether or not it stops the client.
    keepsProcess: false,
    log,
  })
  // Apart, so that whoever reads much keeps no wake-up waiting.
  const pool = openDatabase({
    url: databaseUrl,
    applicationName: 'roundsman reader',
    schema,
    poolSize: POOL_SIZE,
    keepsProcess: false,
    log,
  })
  let isStopped = false
  const watches = new Set<ChangesWatch>()
  let hasLasted = false
  let started: Promise<void> | null = null
  const waker = createWaker(database, log)
  const sender = { waker, log, traceEnqueue }

  async function send(
    connection: Connection,
    job: EnqueuedJob,
    envelope: Envelope,
  ): Promise<string> {
    const caller = { connection, isClient: false }
    return (await enqueueOne(sender, caller, job, { envelope })).queueJobId
  }

  async function enqueueMany<J extends Job>(
    tx: HostTransaction,
    job: J,
    items: readonly WorkItem<J>[],
  ): Promise<EnqueueResult[]> {
    const work = items.map(({ payload, options }) => ({
      envelope: { payload, trigger: 'queue' as const },
      options,
    }))
    return await enqueueWork(sender, recogniseHost(tx, schema), job, work)
  }

  function openPool(): Database {
    if (!isStopped) return pool
    throw new Error('This jobs client is stopped: make another one with createJobsClient')
  }

  async function within<Value>(
    tx: HostTransaction | null,
    work: (tx: Connection) => Promise<Value>,
  ): Promise<Value> {
    if (tx !== null) return await inTransaction(tx, schema, work)
    return await openPool().transaction(work)
  }

  const toOutcome = ({ done, left }: WorkChange): WorkOutcome => ({ done, left })
  /** With its record of who wanted it. */
  async function sendRun(
    tx: Connection,
    job: Job,
    { dryRun = false, payload, ...by }: Request & { dryRun?: boolean; payload: unknown },
    runId?: string,
  ): Promise<string> {
    // The statement that takes work reads it as one, for many pieces at once.
    if (typeof dryRun !== 'boolean') throw new TypeError('dryRun must be true or false')
    const { actor, reason } = storableActor(by)
    const envelope: Envelope = { payload, trigger: 'manual', actor, reason, dryRun }
    const queueJobId = await send(tx, job, envelope)
    const target = { name: job.name, queueJobId, ...(runId !== undefined && { runId }) }
    await recordActions(tx, dryRun ? 'dryRun' : 'run', [target], { actor, reason })
    return queueJobId
  }

  const reader = readerOf({ schema, query: (...statement) => openPool().query(...statement) })

  return {
    protocol: CLIENT_PROTOCOL,
    place: readPlace(databaseUrl),
    reader,
    readerIn: (tx) => readerIn(tx, schema),
    watchChanges(options) {
      const watch = watchChanges({ ...options, databaseUrl, schema: schema.name, log })
      watches.add(watch)
      return {
        isLasting: () => watch.isLasting(),
        async close() {
          hasLasted ||= watch.isLasting()
          watches.delete(watch)
          await watch.close()
        },
      }
    },
    areConnectionsLasting: () => hasLasted || [...watches].some((watch) => watch.isLasting()),
    start() {
      started ??= checkTables(database).catch((error: unknown) => {
        started = null
        throw error
      })
      return started
    },
    async stop() {
      isStopped = true
      await waker.stop()
      const limit = { timeoutMs: CLOSE_TIMEOUT_MS }
      await Promise.all([
        database.close(limit),
        pool.close(limit),
        ...[...watches].map((watch) => watch.close()),
      ])
    },
    enqueue: createEnqueue(sender, schema),
    enqueueMany,
    requestRun: (client, job, { payload = {}, ...request }) =>
      within(client, (tx) => sendRun(tx, job, { payload, ...request })),
    runAgain: (client, job, runId, request) =>
      within<RunAgainOutcome>(client, async (tx) => {
        const found = await findPayload(tx, job, runId)
        if (found.kind !== 'found') return found
        const queueJobId = await sendRun(tx, job, { ...request, payload: found.payload }, runId)
        return { kind: 'requested', queueJobId }
      }),
    result: (job, queueJobId, options) => awaitResult(reader, job, queueJobId, options),
    cancelRun: (client, runId, by) =>
      within(client, async (tx) => {
        // Written out by a caller's transaction, it would hold all runs of its start for as long as that is open.
        const isOwn = client === null || (await keepsSnapshot(tx))
        await (isOwn ? tx : openPool()).query(WRITE_OUT_RUN_SQL, [runId])
        const cancellation: Cancellation = await requestCancellation(tx, runId, by)
        if (cancellation.kind === 'requested') waker.cancel(runId, cancellation.transactionId)
        return cancellation.kind
      }),
    approveRun: (client, runId, by) =>
      within<ApproveOutcome>(client, async (tx) => {
        const { actor, reason } = storableActor(by)
        const approval: Approval = await takeApproval(tx, runId, actor)
        if (approval.kind !== 'taken') return approval
        const { name, payload, rows } = approval
        const envelope: Envelope = {
          payload,
          trigger: 'manual',
          actor,
          reason,
          approvedRows: rows,
          ...readLabel(approval),
        }
        const queueJobId = await send(tx, { name, payload: anyPayload }, envelope)
        await recordActions(tx, 'approve', [{ name, runId, queueJobId }], { actor, reason })
        return { kind: 'approved', queueJobId, rows }
      }),
    pauseJob: (tx, ...request) => within(tx, (own) => pauseJob(own, ...request)),
    resumeJob: (tx, ...request) => within(tx, (own) => resumeJob(own, ...request)),
    pauseQueue: (tx, ...request) => within(tx, (own) => pauseQueue(own, ...request)),
    resumeQueue: (client, name, by) =>
      within(client, async (tx) => {
        const resumption = await resumeQueue(tx, name, by)
        if (resumption.kind === 'resumed') waker.wake(name, resumption.transactionId)
        return resumption.kind
      }),
    cancelWork: (tx, ...request) =>
      within(tx, async (own) => toOutcome(await cancelWork(own, ...request))),
    postponeWork: (client, which, request) =>
      within(client, async (tx) => {
        const change = await postponeWork(tx, which, request)
        if (change.transactionId !== null && request.startAfter.getTime() <= Date.now() + 1_000)
          waker.wake(which.job.name, change.transactionId)
        return toOutcome(change)
      }),
    prioritiseWork: (tx, ...request) =>
      within(tx, async (own) => toOutcome(await prioritiseWork(own, ...request))),
    redriveWork: (tx, ...request) => within(tx, (own) => redriveWork(own, ...request)),
    redriveDeadLetters: (tx, ...request) =>
      within(tx, async (own) => (await redriveWork(own, ...request)).redriven),
    discardDeadLetter: (tx, ...request) => within(tx, (own) => discardDeadLetter(own, ...request)),
    discardDeadLetters: (tx, ...request) =>
      within(tx, (own) => discardDeadLetters(own, ...request)),
  }
}
