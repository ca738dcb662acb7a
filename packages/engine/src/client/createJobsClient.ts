import type { HostLogger } from '../job/logger.ts'
import type {
  Enqueue,
  EnqueueOptions,
  EnqueueResult,
  TraceEnqueue,
  WorkItem,
} from '../job/enqueue.ts'
import type { HostTransaction } from '../job/hostTypes.ts'
import type { Job } from '../job/defineJob.ts'
import type { PayloadOf, ResultOf } from '../job/handler.ts'
import type { SentSignal, Signal } from '../job/signal.ts'
import {
  checkActionOptions,
  checkClientOptions,
  checkItem,
  checkRequest,
  checkWatchOptions,
  checkWhose,
  copyItems,
  RUN_REQUEST,
} from '../arguments/actions.ts'
import { checkId } from '../values/argument.ts'
import { anyPayload } from '../values/standardSchema.ts'
import type { Envelope } from '../queue/envelope.ts'
import { LONG, longOf, openDatabase, type Connection, type Database } from '../database/database.ts'
import { createEnqueue, enqueueOne, enqueueWork, mapInTurns } from '../queue/enqueueWork.ts'
import { containedLog } from '../database/containedLog.ts'
import { readPlace, type DatabasePlace } from '../arguments/connection.ts'
import { expectDryRun } from '../arguments/jobs.ts'
import { createSchema, type Schema } from '../database/schema.ts'
import { writeLimitNews } from '../database/channels.ts'
import { createWaker } from '../database/waker.ts'
import { asTransaction } from '../database/callersTransaction.ts'
import { checkTables } from '../tables/tablesState.ts'
import { actOnMany, type ActOnManyOutcome, type ActOnManyRequest } from '../control/actOnMany.ts'
import {
  discardDeadLetters,
  redriveDeadLetters,
  type DiscardOutcome,
  type RedriveOutcome,
  type RedriveRequest,
  type WhichLetters,
} from '../control/deadLetters.ts'
import {
  requestCancellation,
  findPayload,
  approveRun,
  type ApproveOutcome,
  type ActionRequest,
} from '../control/controlJobs.ts'
import {
  setKey,
  setLimit,
  type KeySettings,
  type LimitSettings,
  type WhichLimit,
} from '../control/controlLimits.ts'
import { claimsHaveEnded, pauseQueue, resumeQueue } from '../control/controlQueues.ts'
import {
  backfillKeyed,
  type BackfillOutcome,
  type BackfillRequest,
} from '../control/backfillSchedule.ts'
import type { KeyedSchedule } from '../control/checkSchedules.ts'
import {
  deleteKeyed,
  pauseKeyed,
  pauseSchedule,
  resumeKeyed,
  resumeSchedule,
  triggerKeyed,
} from '../control/controlSchedules.ts'
import {
  previewSchedule,
  type PreviewedTick,
  type PreviewQuery,
} from '../control/previewSchedule.ts'
import { upsertSchedules, type UpsertedSchedule } from '../control/upsertSchedules.ts'
import { createLoadLimit } from '../tick/scheduleLoad.ts'
import { sendSignal } from '../queue/signals.ts'
import { answerDoubt, type DoubtAnswer, type DoubtfulStep } from '../control/answerDoubt.ts'
import {
  restoreHidden,
  showPayload,
  type ShownPayload,
  type WhosePayload,
  type WhoseResult,
} from '../control/showPayload.ts'
import {
  cancelWork,
  postponeWork,
  prioritiseWork,
  type WhichWork,
  type WorkOutcome,
} from '../control/controlWork.ts'
import { recordActions, type Actor } from '../queue/recordActions.ts'
import { awaitResult, type AwaitResultOptions, type WorkResult } from '../read/awaitResult.ts'
import { explainWork, type WorkExplanation } from '../read/explainWork.ts'
import type { KeyedTickPage } from '../read/jobTicks.ts'
import {
  getKeyedSchedule,
  listKeyedSchedules,
  listKeyedTicks,
  type KeyedTickQuery,
  type ListedSchedule,
  type SchedulePage,
  type ScheduleQuery,
} from '../read/listKeyedSchedules.ts'
import { getKey, listKeys, type FoundKey, type KeyPage, type KeyQuery } from '../read/listKeys.ts'
import { listSteps, type ListedStep } from '../read/listSteps.ts'
import { listLimits, type ListedLimit } from '../read/listLimits.ts'
import { readerIn, readerOf, type JobsReader } from '../read/reader.ts'
import { watchChanges, type ChangesWatch, type ChangesWatchOptions } from '../read/watchChanges.ts'

export interface JobsClientOptions {
  /** May be empty while nothing connects, as in a build: `start()` and all reads then reject with an ArgumentError. */
  databaseUrl: string
  /** The schema with the tables that `migrate` created. Default `roundsman`. */
  schema?: string | undefined
  /** Fastify's own will do: `app.log`. Default: warnings and errors go to standard error. */
  log?: Pick<HostLogger, 'warn' | 'error'> | undefined
  /** Default: nothing is traced. */
  traceEnqueue?: TraceEnqueue | undefined
}

export interface ActionOptions {
  /** The caller's transaction. Default: a separate transaction of this client. */
  tx?: HostTransaction | undefined
}

/**
 * Enqueues work, and carries out what people do to jobs and runs. Each call uses the caller's transaction, of any supported
 * library (HostTransaction), and takes effect if, and only if, that commits. `enqueueNow` enqueues without a transaction. Calls
 * for a person take the transaction last, as `{ tx }`, or use one of the client's own.
 *
 * Each call validates its arguments first, and throws an ArgumentError that names the invalid one. Calls that enqueue throw
 * JobError `payload_invalid`, with the issues in its details, before they write anything. A payload may have 8 MB as JSON and
 * 64 levels. Work of a job without a worker waits for one.
 */
export interface JobsClient {
  readonly protocol: typeof CLIENT_PROTOCOL
  /** The address of its database, for people who have several. */
  readonly place: DatabasePlace
  /**
   * Checks that the tables fit this version, which no other call does. After a success, a second call does nothing.
   * @throws TablesError if they do not fit: run `migrate`, or update this version
   */
  start(): Promise<void>
  /** Closes its connections and watches, within seconds. It cannot be started again: create another client. */
  stop(): Promise<void>
  /** The reader for all reading functions. It opens a few connections of its own when they are needed. */
  readonly reader: JobsReader
  /** Makes a reader that reads in a caller's transaction. */
  readerIn(tx: HostTransaction): JobsReader
  /**
   * Calls `onChange` for each change, and `onGap` if changes may have been missed, until the watch is closed or the client
   * stopped. All watches share one connection, which is probed each `probeMs` (default 10,000) of the first watch.
   */
  watchChanges(options: Omit<ChangesWatchOptions, 'databaseUrl' | 'schema' | 'log'>): ChangesWatch
  /** Whether connections keep their session, which a transaction pooler prevents. False until a watch has found out. */
  areConnectionsLasting(): boolean
  /**
   * Enqueues a piece of work in the given transaction: the work exists if, and only if, that commits.
   * @throws ArgumentError if `tx` is not a transaction of a supported library, or an option is invalid. A connection of pg
   * without a transaction is refused if pg is 8.17 or newer and no query of the connection is under way
   * @throws JobError `payload_invalid`, before it writes anything, if the schema refuses the payload, JSON or PostgreSQL cannot
   * hold it, it has more than 8 MB, or the job's `partition.key` returns no valid key
   */
  enqueue: Enqueue<HostTransaction>
  /**
   * Enqueues a piece of work without a transaction, in one statement on a connection of this client. Once it resolves, the work
   * is committed. It throws the same errors as `enqueue`.
   */
  enqueueNow<J extends Job>(
    job: J,
    payload: PayloadOf<J>,
    options?: EnqueueOptions,
  ): Promise<EnqueueResult>
  /**
   * Enqueues up to a million pieces of work in the given transaction, in one statement for each 4 MB. It does not block the
   * caller's event loop. The results have the order of the items.
   */
  enqueueMany<J extends Job>(
    tx: HostTransaction,
    job: J,
    items: readonly WorkItem<J>[],
  ): Promise<EnqueueResult[]>
  /**
   * Enqueues up to a million pieces of work without a transaction, in one statement for each 32 MB. Each statement commits by
   * itself: if one fails, the work of the earlier ones stays.
   */
  enqueueManyNow<J extends Job>(job: J, items: readonly WorkItem<J>[]): Promise<EnqueueResult[]>
  /**
   * Sends a signal in the given transaction: it counts if, and only if, that commits. It ends the oldest wait with its name and
   * key, or the next one that begins within 30 days. `duplicate`: a signal with this id was sent within 30 days.
   * @throws JobError `payload_invalid`, before it writes anything, if the signal's schema refuses the payload
   */
  signal<Input>(
    tx: HostTransaction,
    signal: Signal<unknown, Input>,
    sent: SentSignal<NoInfer<Input>>,
  ): Promise<'stored' | 'duplicate'>
  /** Sends a signal without a transaction. Once it resolves, the signal is committed. */
  signalNow<Input>(
    signal: Signal<unknown, Input>,
    sent: SentSignal<NoInfer<Input>>,
  ): Promise<'stored' | 'duplicate'>
  /**
   * Enqueues a run that a person requests. If the overlap of the job's schedule is not `allow`, it waits for the run under way.
   * Returns the work's id.
   */
  requestRun(
    job: Job,
    request: ActionRequest & { dryRun?: boolean; payload?: unknown },
    options?: ActionOptions,
  ): Promise<string>
  /**
   * Requests a run with the payload of an earlier run, of waiting work or of a dead letter, without showing it. A payload is
   * kept while its work may be retried or is a dead letter; after that the call returns `payloadGone`. `payload`: the output of
   * `showPayload`, with changes; masked parts that are unchanged keep their stored values.
   * @throws JobError `payload_invalid` if the job's schema refuses it, or a changed part is still masked
   */
  runAgain(
    job: Job,
    whose: string | WhosePayload,
    request: ActionRequest & { dryRun?: boolean; payload?: unknown },
    options?: ActionOptions,
  ): Promise<RunAgainOutcome>
  /**
   * Shows the payload of a run, of waiting work or of a dead letter, and records who looked. Credentials and e-mail addresses
   * are masked, except in the fields that the job shows. A payload of more than 64 kB is not shown. With a `step`, it shows what
   * that step has got.
   */
  showPayload(
    whose: WhosePayload | WhoseResult,
    request: Actor & { jobs: readonly Pick<Job, 'name' | 'show'>[] },
    options?: ActionOptions,
  ): Promise<ShownPayload>
  /**
   * Waits until a piece of work has ended, and returns its outcome. `pending`: it has not ended within `timeoutMs`. `gone`: no
   * such work is on record, for example before the transaction that enqueued it has committed. It keeps waiting while the
   * database is away. Throws the signal's reason if it is aborted, and the last error if the database is still away at the end.
   */
  result<J extends Job>(
    job: J,
    workId: string,
    options?: AwaitResultOptions,
  ): Promise<WorkResult<ResultOf<J>>>
  /**
   * Lists why a piece of work waits at that moment, hardest reason first. If it no longer waits, returns how it ended. Null if
   * there is no record of it.
   */
  explain(workId: string): Promise<WorkExplanation | null>
  /**
   * Cancels a run that is under way, in any process. Within a second after the commit its worker aborts the handler's signal,
   * and the run ends as failed with code `cancelled`.
   */
  cancelRun(
    runId: string,
    request: ActionRequest,
    options?: ActionOptions,
  ): Promise<'requested' | 'notRunning' | 'notFound'>
  /**
   * Approves a run that its guard has blocked, once and within a day. It enqueues another run with the payload, unique key and
   * priority of the blocked one, which may change as many rows as were counted. The new work replaces the old, which is no
   * longer a dead letter.
   */
  approveRun(
    runId: string,
    request: ActionRequest,
    options?: ActionOptions,
  ): Promise<ApproveOutcome>
  /** Pauses a schedule: workers record its ticks as skipped. A run under way continues. */
  pauseSchedule(
    name: string,
    request: ActionRequest,
    options?: ActionOptions,
  ): Promise<'paused' | 'alreadyPaused' | 'notScheduled'>
  /** Resumes a schedule with its next tick. Ticks during the pause stay skipped. */
  resumeSchedule(
    name: string,
    by: Actor,
    options?: ActionOptions,
  ): Promise<'resumed' | 'notPaused' | 'notScheduled'>
  /**
   * Pauses a queue: no worker takes work of the job, retries included, until the queue is resumed. Runs under way continue, and
   * the schedule still enqueues work. The call returns once each claim that began before the pause has finished, which takes
   * milliseconds. After 5 s it returns `pausing`: such a claim may still start work. With `{ tx }` it does not wait, and the
   * pause holds for each claim that begins after the commit. `pausedUnknown`: the queue is paused, but no worker or row has the
   * job yet, so the name may be wrong.
   */
  pauseQueue(
    name: string,
    request: ActionRequest,
    options?: ActionOptions,
  ): Promise<'paused' | 'pausing' | 'pausedUnknown' | 'alreadyPaused'>
  /** Resumes a queue: workers take its work again. */
  resumeQueue(
    name: string,
    by: Actor,
    options?: ActionOptions,
  ): Promise<'resumed' | 'notPaused' | 'notFound'>
  /** Cancels waiting work, which then never runs. Its unique key is free at once. */
  cancelWork(
    which: WhichWork,
    request: ActionRequest,
    options?: ActionOptions,
  ): Promise<WorkOutcome>
  /**
   * Postpones waiting work to `startAfter`, except work that is already due later. With an instant in the past, delayed work
   * and retries become due now. `expiresAt` does not change.
   */
  postponeWork(
    which: WhichWork,
    request: ActionRequest & { startAfter: Date },
    options?: ActionOptions,
  ): Promise<WorkOutcome>
  /** Lists the steps of durable work: those with a memo, and the open ones. */
  steps(workId: string): Promise<ListedStep[]>
  /**
   * Records your answer whether the effect of a step with `effect: 'once'` has happened. If it has, the step ends with the
   * result of this answer. If it has not, a worker calls the step again.
   */
  answerDoubt(
    which: DoubtfulStep,
    request: DoubtAnswer,
    options?: ActionOptions,
  ): Promise<'answered' | 'notInDoubt'>
  /** Gives waiting work another priority: a whole number of 32 bits. */
  prioritiseWork(
    which: WhichWork,
    request: ActionRequest & { priority: number },
    options?: ActionOptions,
  ): Promise<WorkOutcome>
  /**
   * Gives dead letters back to the queue, with all attempts that their jobs grant. One call takes at most 10,000, the latest
   * first: `actOnMany` takes more. Their runs record the person and the reason. Work that two or more workers have died of, or
   * beside, stays a dead letter unless `evenIfWorkersDied`.
   */
  redriveDeadLetters(
    which: WhichLetters,
    request: RedriveRequest,
    options?: ActionOptions,
  ): Promise<RedriveOutcome>
  /**
   * Acts on waiting work, dead letters or runs under way: up to 1,000 pieces in one transaction. Call it with the previous
   * `mark` until nothing is `left`. The first call fixes the set. Later calls skip pieces that came later or have changed
   * since, such as work that was retried and has failed again.
   */
  actOnMany(request: ActOnManyRequest, options?: ActionOptions): Promise<ActOnManyOutcome>
  /** Deletes dead letters permanently, at most 10,000 in one call, the latest first. Their runs stay on record. */
  discardDeadLetters(
    which: WhichLetters,
    by: Actor,
    options?: ActionOptions,
  ): Promise<DiscardOutcome>
  /** Schedules that are stored as data, such as one for each customer, in their zone. */
  readonly schedules: KeyedSchedules
  /** Limits on how many runs go on at once, over all workers. */
  readonly limits: Limits
  /** The keys by which jobs divide their work, such as customers. */
  readonly keys: Keys
}

/** Limits that jobs define or people set. A change records its person, and holds from its commit on. */
export interface Limits {
  /**
   * Overrides the maximum of runs at once for a job, or for the jobs that share a limit; null removes the override. Runs under
   * way continue. `notFound`: no worker has the job, or has registered the limit.
   */
  set(
    which: WhichLimit,
    settings: LimitSettings,
    request: ActionRequest,
    options?: ActionOptions,
  ): Promise<'set' | 'unchanged' | 'notFound'>
  /** Lists limits, with the holders of their slots. */
  list(): Promise<ListedLimit[]>
}

export interface Keys {
  /**
   * Sets the maximum of runs at once for one key, and whether it is paused. Omitted settings do not change. An empty key: work
   * without a key. `noKeys`: no worker has registered a `partition` of the job.
   */
  set(
    job: Pick<Job, 'name'>,
    key: string,
    settings: KeySettings,
    request: ActionRequest,
    options?: ActionOptions,
  ): Promise<'set' | 'unchanged' | 'noKeys'>
  /** Lists the keys of a job: those with the most waiting work first, or in another order. */
  list(job: Pick<Job, 'name'>, query?: KeyQuery): Promise<KeyPage>
  /** Finds one key: its waiting work, its runs under way, and its settings with the person who set them. */
  get(job: Pick<Job, 'name'>, key: string): Promise<FoundKey>
}

/**
 * Schedules that a program stores as data, each under a job and a key. A change uses the transaction in its first argument;
 * null: a transaction of this client. The engine records who made it. While the transaction is open, no worker decides ticks of
 * the schedules that it has changed.
 */
export interface KeyedSchedules {
  /**
   * Creates a schedule, or changes it from now on. If cron, zone, `startsAt` or `endsAt` change, due ticks are decided first,
   * by the old values; any other change leaves them due. If nothing changes, the version stays.
   * @throws ArgumentError that names the option; JobError `payload_invalid`, or `schedule_owned_by_code` for an empty key, all
   * before anything is written; `schedule_changed` if its version is not `ifVersion`; `too_many_schedules` beyond a million in
   * this database, or 500 ticks a second of all together
   */
  upsert<J extends Job>(
    tx: HostTransaction | null,
    job: J,
    schedule: KeyedSchedule<J>,
  ): Promise<UpsertedSchedule>
  /** Creates or changes up to 10,000, all or none. It locks them in the order of their keys. */
  upsertMany<J extends Job>(
    tx: HostTransaction | null,
    job: J,
    schedules: readonly KeyedSchedule<J>[],
  ): Promise<UpsertedSchedule[]>
  /** Pauses a schedule: its ticks are skipped. Work that it has enqueued still runs. */
  pause(
    tx: HostTransaction | null,
    job: Pick<Job, 'name'>,
    key: string,
    request: ActionRequest,
  ): Promise<'paused' | 'alreadyPaused' | 'notFound'>
  /** Resumes a schedule with its next tick. Ticks during the pause stay skipped. */
  resume(
    tx: HostTransaction | null,
    job: Pick<Job, 'name'>,
    key: string,
    by: Actor,
  ): Promise<'resumed' | 'notPaused' | 'notFound'>
  /** Decides the due ticks, and deletes the schedule. Its work stays in the queue, and its ticks stay on record. */
  delete(
    tx: HostTransaction | null,
    job: Pick<Job, 'name'>,
    key: string,
    request: Actor & { ifVersion?: number },
  ): Promise<'deleted' | 'notFound'>
  /** Enqueues work of a schedule now, in addition to its ticks, also while it is paused. */
  trigger(
    tx: HostTransaction | null,
    job: Pick<Job, 'name'>,
    key: string,
    request: ActionRequest,
  ): Promise<{ kind: 'requested'; workId: string } | { kind: 'notFound' }>
  /**
   * Enqueues work for up to 10,000 past instants of the current schedule: those without a tick on record, and those missed,
   * skipped or coalesced. Ticks that retention has removed are not on record.
   */
  backfill(
    tx: HostTransaction | null,
    job: Pick<Job, 'name'>,
    key: string,
    request: BackfillRequest,
  ): Promise<BackfillOutcome>
  /** Lists schedules by job and key, page by page. */
  list(query: ScheduleQuery): Promise<SchedulePage>
  /** Finds one. Null if there is none. */
  get(of: { name: string; key: string }): Promise<ListedSchedule | null>
  /** Lists the outcomes of a schedule's ticks, the newest first. */
  ticks(query: KeyedTickQuery): Promise<KeyedTickPage>
  /** Lists the next instants of a schedule, with its zone's local times. It does not query the database. */
  preview(query: PreviewQuery): PreviewedTick[]
}

/** `payloadGone`: the queue no longer holds the payload. Call `requestRun` with a payload instead. */
export type RunAgainOutcome =
  | { kind: 'requested'; workId: string }
  | { kind: 'payloadGone' }
  | { kind: 'notFound' }

/** The version of the client's interface. Packages that take a client, such as the Fastify plugin, check it. */
export const CLIENT_PROTOCOL = 1

/** Maximum wait of stop() for statements under way, which may be on a connection that has lost its other end. */
const CLOSE_TIMEOUT_MS = 1_000
/** Maximum connections for reading and for acts without a transaction, and of a second pool for enqueueing without one. */
const POOL_SIZE = 5
/** Added to errors: the method to call without a transaction. */
const WITHOUT_TRANSACTION = {
  many: 'call enqueueManyNow(job, items) to enqueue without one',
  act: 'leave { tx } out',
  signal: 'call signalNow(signal, sent) to send it without one',
  schedule: 'pass null',
}

/** Creates a client for programs that enqueue and control work. It does not schedule or run jobs. */
export function createJobsClient(options: JobsClientOptions): JobsClient {
  const { schema, ...given } = checkClientOptions(options)
  const { enqueueFrom: _, ...client } = jobsClientIn(createSchema(schema), given)
  return client
}

/** A client that also enqueues for the handlers of runs. */
export interface Producer extends JobsClient {
  enqueueFrom(runId: string): Enqueue<HostTransaction>
}

/** Creates a client in any schema, also in one of a test. */
export function jobsClientIn(
  schema: Schema,
  { databaseUrl, log: hostLog, traceEnqueue }: Omit<JobsClientOptions, 'schema'>,
): Producer {
  const log = containedLog(hostLog)
  // The caller's connection sends the work, and this one the notifications.
  const database = openDatabase({
    url: databaseUrl,
    applicationName: 'roundsman client',
    schema,
    poolSize: 1,
    // A test or a script of the host must be able to end even if it does not stop the client.
    keepsProcess: false,
    log,
  })
  // Separate pools, so that heavy reading delays neither notifications nor enqueueing. Each connects when it is needed.
  const [pool, enqueuing] = ['roundsman reader', 'roundsman enqueue'].map((applicationName) =>
    openDatabase({
      url: databaseUrl,
      applicationName,
      schema,
      poolSize: POOL_SIZE,
      keepsProcess: false,
      log,
    }),
  ) as [Database, Database]
  let isStopped = false
  const watches = new Set<Pick<ChangesWatchOptions, 'onChange' | 'onGap'>>()
  let watch: ChangesWatch | null = null
  let hasLasted = false
  let started: Promise<void> | null = null
  const waker = createWaker(database, log)
  const sender = { waker, log, traceEnqueue }

  async function putMany<J extends Job>(
    findCaller: () => Connection,
    job: J,
    items: readonly WorkItem<J>[],
  ): Promise<EnqueueResult[]> {
    const work = await mapInTurns(copyItems(items), (item, at) => {
      const { payload, options } = checkItem(item, at)
      return {
        envelope: { payload, trigger: 'queue' as const },
        options: options as EnqueueOptions | undefined,
      }
    })
    return await enqueueWork(sender, findCaller(), job, work)
  }

  function areConnectionsLasting(): boolean {
    hasLasted ||= watch?.isLasting() ?? false
    return hasLasted
  }

  async function closeWatch(): Promise<void> {
    areConnectionsLasting()
    const closing = watch
    watch = null
    await closing?.close()
  }

  function openPool(opened = pool): Database {
    if (!isStopped) return opened
    throw new Error('This jobs client is stopped: make another one with createJobsClient')
  }

  async function within<Value>(
    options: ActionOptions | undefined,
    work: (tx: Connection) => Promise<Value>,
  ): Promise<Value> {
    return await inCallers(checkActionOptions(options), work, WITHOUT_TRANSACTION.act)
  }

  /** Notifies workers that a raised limit or a resumed key has made room. */
  function onRoom(limit: string, transactionId: string): void {
    const news = { kind: 'room', limit, worker: '', about: '' } as const
    waker.wake(writeLimitNews(news), transactionId)
  }

  /** Enqueues a requested run, and records the person. */
  async function sendRun(
    tx: Connection,
    job: Job,
    request: { dryRun: boolean | undefined; by: Actor },
    payload: unknown,
    runId?: string,
  ): Promise<string> {
    const { dryRun = false, by } = request
    const envelope: Envelope = { payload, trigger: 'manual', ...by, dryRun }
    const { workId } = await enqueueOne(sender, tx, job, { envelope })
    const target = { name: job.name, workId, ...(runId !== undefined && { runId }) }
    await recordActions(tx, dryRun ? 'dryRun' : 'run', [target], by)
    return workId
  }

  /** Uses the caller's transaction, or a separate one. */
  async function inCallers<Value>(
    tx: HostTransaction | null,
    work: (connection: Connection) => Promise<Value>,
    otherwise = WITHOUT_TRANSACTION.schedule,
  ): Promise<Value> {
    if (tx === null) return await openPool().transaction(work, LONG)
    return await work(asTransaction(tx, schema, otherwise))
  }
  const scheduling = { log, onWork: waker.wake, limit: createLoadLimit() }

  const reader = readerOf({ query: (...statement) => openPool().query(...statement) })

  return {
    protocol: CLIENT_PROTOCOL,
    place: readPlace(databaseUrl),
    reader,
    readerIn: (tx) => readerIn(tx, schema),
    watchChanges(given) {
      const options = checkWatchOptions(given)
      watches.add(options)
      watch ??= watchChanges({
        ...options,
        databaseUrl,
        schema: schema.name,
        log,
        onChange: (announcement) => watches.forEach(({ onChange }) => onChange(announcement)),
        onGap: () => watches.forEach(({ onGap }) => onGap()),
      })
      return {
        isLasting: areConnectionsLasting,
        async close() {
          watches.delete(options)
          if (watches.size === 0) await closeWatch()
        },
      }
    },
    areConnectionsLasting,
    start() {
      started ??= checkTables(database).catch((error: unknown) => {
        started = null
        throw error
      })
      return started
    },
    async stop() {
      isStopped = true
      const limit = { timeoutMs: CLOSE_TIMEOUT_MS }
      await waker.stop()
      const closing = [database, pool, enqueuing].map((one) => one.close(limit))
      await Promise.all([...closing, closeWatch()])
    },
    enqueue: createEnqueue(sender, schema),
    enqueueFrom: (runId) => createEnqueue(sender, schema, runId),
    async enqueueNow(job, payload, options) {
      const work = { envelope: { payload, trigger: 'queue' as const }, options }
      return await enqueueOne(sender, openPool(enqueuing), job, work)
    },
    enqueueMany: (tx, ...work) =>
      putMany(() => asTransaction(tx, schema, WITHOUT_TRANSACTION.many), ...work),
    enqueueManyNow: (...work) => putMany(() => longOf(openPool(enqueuing)), ...work),
    signal: (tx, ...of) =>
      sendSignal(asTransaction(tx, schema, WITHOUT_TRANSACTION.signal), waker.wake, ...of),
    signalNow: (...of) =>
      sendSignal(openPool(enqueuing), (subject) => waker.wake(subject, null), ...of),
    requestRun: (job, request, options) =>
      within(options, (tx) => {
        const { payload = {}, ...wanted } = checkRequest(request, RUN_REQUEST)
        expectDryRun(job, wanted.dryRun)
        return sendRun(tx, job, wanted, payload)
      }),
    runAgain: (job, whose, request, options) =>
      within<RunAgainOutcome>(options, async (tx) => {
        const { payload: edited, ...wanted } = checkRequest(request, RUN_REQUEST)
        expectDryRun(job, wanted.dryRun)
        const of =
          typeof whose === 'string'
            ? { runId: whose, id: checkId('runId', whose) }
            : checkWhose(whose)
        const found = await findPayload(tx, job, of)
        if (found.kind !== 'found') return found
        const payload =
          edited === undefined ? found.payload : restoreHidden(edited, found.payload, job.show)
        const workId = await sendRun(tx, job, wanted, payload, of.runId)
        return { kind: 'requested', workId }
      }),
    showPayload: (whose, request, options) =>
      within(options, (tx) => showPayload(tx, whose, request)),
    result: (...work) => awaitResult({ reader, isOpen: () => !isStopped }, ...work),
    explain: (workId) => explainWork(reader, workId),
    cancelRun: (runId, by, options) =>
      within(options, (tx) => requestCancellation(tx, runId, by, waker.cancel)),
    approveRun: (runId, by, options) =>
      within(options, (connection) =>
        approveRun(connection, runId, by, (name, work) =>
          enqueueOne(sender, connection, { name, payload: anyPayload }, work),
        ),
      ),
    pauseSchedule: (name, request, options) =>
      within(options, (tx) => pauseSchedule(tx, name, request)),
    resumeSchedule: (name, by, options) =>
      within(options, (tx) => resumeSchedule(tx, name, by, scheduling)),
    async pauseQueue(name, request, options) {
      const outcome = await within(options, (tx) => pauseQueue(tx, name, request))
      if (checkActionOptions(options) !== null) return outcome
      return (await claimsHaveEnded(openPool())) ? outcome : 'pausing'
    },
    resumeQueue: (name, by, options) =>
      within(options, (tx) => resumeQueue(tx, name, by, waker.wake)),
    cancelWork: (which, request, options) =>
      within(options, (tx) => cancelWork(tx, which, request)),
    postponeWork: (which, request, options) =>
      within(options, (tx) => postponeWork(tx, which, request, waker.wake)),
    steps: (workId) => listSteps(reader, workId),
    answerDoubt: (which, request, options) =>
      within(options, (tx) => answerDoubt(tx, which, request, waker.wake)),
    prioritiseWork: (which, request, options) =>
      within(options, (tx) => prioritiseWork(tx, which, request)),
    redriveDeadLetters: (which, request, options) =>
      within(options, (tx) => redriveDeadLetters(tx, which, request)),
    actOnMany: (request, options) => within(options, (tx) => actOnMany(tx, request, waker.wake)),
    discardDeadLetters: (which, by, options) =>
      within(options, (tx) => discardDeadLetters(tx, which, by)),
    schedules: {
      upsert: (tx, job, schedule) =>
        inCallers(tx, async (connection) => {
          const nameless = () => ''
          const [done] = await upsertSchedules(connection, job, [schedule], scheduling, nameless)
          return done as UpsertedSchedule
        }),
      upsertMany: (tx, job, schedules) =>
        inCallers(tx, (connection) => upsertSchedules(connection, job, schedules, scheduling)),
      pause: (tx, ...of) => inCallers(tx, (connection) => pauseKeyed(connection, ...of)),
      resume: (tx, ...of) =>
        inCallers(tx, (connection) => resumeKeyed(connection, ...of, scheduling)),
      delete: (tx, ...of) =>
        inCallers(tx, (connection) => deleteKeyed(connection, ...of, scheduling)),
      trigger: (tx, ...of) =>
        inCallers(tx, (connection) => triggerKeyed(connection, ...of, scheduling)),
      backfill: (tx, ...of) =>
        inCallers(tx, (connection) => backfillKeyed(connection, ...of, scheduling)),
      list: (query) => listKeyedSchedules(reader, query),
      get: (of) => getKeyedSchedule(reader, of),
      ticks: (query) => listKeyedTicks(reader, query),
      preview: previewSchedule,
    },
    limits: {
      set: (which, settings, request, options) =>
        within(options, (tx) => setLimit(tx, which, settings, request, onRoom)),
      list: () => listLimits(reader),
    },
    keys: {
      set: (job, key, settings, request, options) =>
        within(options, (tx) => setKey(tx, job, key, settings, request, onRoom)),
      list: (job, query) => listKeys(reader, job, query),
      get: (job, key) => getKey(reader, job, key),
    },
  }
}
