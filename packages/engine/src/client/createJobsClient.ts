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
  /** May be empty while nothing connects, as in a build: `start()` and whatever reads then reject with an ArgumentError. */
  databaseUrl: string
  /** The schema in which `migrate` made the tables. Default `roundsman`. */
  schema?: string | undefined
  /** Fastify's own will do: `app.log`. Default: warnings and errors go to standard error. */
  log?: Pick<HostLogger, 'warn' | 'error'> | undefined
  /** Default: nothing is traced. */
  traceEnqueue?: TraceEnqueue | undefined
}

export interface ActionOptions {
  /** The caller's transaction. Default: a transaction of this client's own. */
  tx?: HostTransaction | undefined
}

/**
 * Puts work into the queue, and does what people do to jobs and runs. Each call works in the caller's transaction, of
 * any known library (HostTransaction), and takes effect if and only if that commits. Where there is none, `enqueueNow`
 * enqueues without one. Calls for a person take the transaction last, as `{ tx }`, or work in one of the client's own.
 *
 * Each call throws ArgumentError, which names the argument, before it sends the database anything that this would
 * refuse. Calls that enqueue throw JobError `payload_invalid`, with the issues in its details, before they write
 * anything. A payload may have 8 MB as JSON and 64 levels. Work of a job that no worker has waits for one.
 */
export interface JobsClient {
  readonly protocol: typeof CLIENT_PROTOCOL
  /** The place of its database, for people who have several. */
  readonly place: DatabasePlace
  /**
   * Checks that the tables fit this version, which no other call does. Once they do, a second call does nothing.
   * @throws TablesError when they do not: run `migrate`, or this version is too old
   */
  start(): Promise<void>
  /** Closes its connections and watches, within seconds. Make another client to go on. */
  stop(): Promise<void>
  /** For all reading functions. It opens a few connections of the client's own when they are needed. */
  readonly reader: JobsReader
  /** Makes a reader that reads in a caller's transaction. */
  readerIn(tx: HostTransaction): JobsReader
  /**
   * Calls `onChange` with what has changed, and `onGap` when changes may have been missed, until the watch is closed or
   * the client stopped. All watches share one connection, which is probed each `probeMs` (default 10,000) of the first.
   */
  watchChanges(options: Omit<ChangesWatchOptions, 'databaseUrl' | 'schema' | 'log'>): ChangesWatch
  /** Whether connections keep their session, as through no transaction pooler; false until a watch has found out. */
  areConnectionsLasting(): boolean
  /**
   * Enqueues a piece of work in the given transaction: the work exists if and only if that commits.
   * @throws ArgumentError when `tx` is no transaction of a known library, or an option is invalid. A connection of pg in
   *   no transaction is refused if pg is 8.17 or newer and no query of the connection is under way
   * @throws JobError `payload_invalid`, before it writes anything, when the schema refuses the payload, when JSON or
   *   PostgreSQL cannot hold it, when it has more than 8 MB, or when its job's `partition.key` makes no key of it
   */
  enqueue: Enqueue<HostTransaction>
  /**
   * Enqueues a piece of work without a transaction, by a statement on a connection of this client's own. Once it resolves,
   * the work is committed. Its errors are those of `enqueue`.
   */
  enqueueNow<J extends Job>(
    job: J,
    payload: PayloadOf<J>,
    options?: EnqueueOptions,
  ): Promise<EnqueueResult>
  /**
   * Enqueues up to a million pieces of work in the given transaction, by a statement for each 4 MB. The caller's event loop
   * goes on meanwhile. The results are in the order of the items.
   */
  enqueueMany<J extends Job>(
    tx: HostTransaction,
    job: J,
    items: readonly WorkItem<J>[],
  ): Promise<EnqueueResult[]>
  /**
   * Enqueues up to a million pieces of work without a transaction, by a statement for each 32 MB. Each statement commits by
   * itself: if one fails, the work of those before it stays.
   */
  enqueueManyNow<J extends Job>(job: J, items: readonly WorkItem<J>[]): Promise<EnqueueResult[]>
  /**
   * Sends a signal in the given transaction: it counts if and only if that commits. It ends one wait with its name and key, the oldest,
   * also one that begins within 30 days. `duplicate`: one with this id was sent within 30 days.
   * @throws JobError `payload_invalid`, before it writes anything, when the signal's schema refuses the payload
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
   * Enqueues a run that a person wants. Where the overlap of the job's schedule is not `allow`, it waits for the run
   * under way. Returns the work's id.
   */
  requestRun(
    job: Job,
    request: ActionRequest & { dryRun?: boolean; payload?: unknown },
    options?: ActionOptions,
  ): Promise<string>
  /**
   * Requests a run with the payload of an earlier run, or of work that waits or is a dead letter, without showing it. The queue
   * keeps a payload while its work is to be retried or a dead letter; after that the answer is `payloadGone`. `payload`: what
   * `showPayload` has shown, with changes; parts that are as they were shown stay what they were.
   * @throws JobError `payload_invalid` when the job's schema refuses it, or a part of it is still masked
   */
  runAgain(
    job: Job,
    whose: string | WhosePayload,
    request: ActionRequest & { dryRun?: boolean; payload?: unknown },
    options?: ActionOptions,
  ): Promise<RunAgainOutcome>
  /**
   * Shows the payload of a run, or of work that waits or is a dead letter, and records who looked. Credentials and e-mail
   * addresses are taken out, except in what its job of `jobs` shows; more than 64 kB are not shown.
   */
  showPayload(
    whose: WhosePayload,
    request: Actor & { jobs: readonly Pick<Job, 'name' | 'show'>[] },
    options?: ActionOptions,
  ): Promise<ShownPayload>
  /**
   * Waits until a piece of work has ended, and returns what became of it: `pending` after `timeoutMs`, or `gone` before
   * the transaction that enqueued it has committed. While the database is away it goes on waiting. Rejects with the
   * signal's reason when that is aborted, and with the last error when the time is over and the database still away.
   */
  result<J extends Job>(
    job: J,
    workId: string,
    options?: AwaitResultOptions,
  ): Promise<WorkResult<ResultOf<J>>>
  /**
   * Says why a piece of work waits at that moment, beginning with the reason that is hardest to lift; or what became of
   * it. Null when nothing on record tells of it.
   */
  explain(workId: string): Promise<WorkExplanation | null>
  /**
   * Stops a run that is under way, in any process: its worker aborts the handler's signal within a second after the
   * transaction has committed, and the run ends as failed with code `cancelled`.
   */
  cancelRun(
    runId: string,
    request: ActionRequest,
    options?: ActionOptions,
  ): Promise<'requested' | 'notRunning' | 'notFound'>
  /**
   * Approves a run that its guard has blocked, once and within a day: enqueues another run, which may change as many
   * rows as were counted, with the payload, unique key and priority of the run's own work. The new work takes the place
   * of that work, which is no dead letter any more.
   */
  approveRun(
    runId: string,
    request: ActionRequest,
    options?: ActionOptions,
  ): Promise<ApproveOutcome>
  /** Pauses a schedule: workers record its ticks as skipped. A run under way goes on. */
  pauseSchedule(
    name: string,
    request: ActionRequest,
    options?: ActionOptions,
  ): Promise<'paused' | 'alreadyPaused' | 'notScheduled'>
  /** Resumes a schedule with its next tick. Ticks that were due meanwhile stay skipped. */
  resumeSchedule(
    name: string,
    by: Actor,
    options?: ActionOptions,
  ): Promise<'resumed' | 'notPaused' | 'notScheduled'>
  /**
   * Pauses a queue: no worker takes work of the job, retries included, until somebody resumes the queue. Runs under way go on,
   * and so does the schedule, whose ticks enqueue work. It returns once each claim that began before the pause has finished,
   * which takes milliseconds; after 5 s it returns `pausing`, and such a claim may still start work. With `{ tx }` it does not
   * wait, and the pause holds for each claim that begins after the commit. `pausedUnknown`: it is paused, and no worker or row
   * knows the job yet, so that the name may be wrong.
   */
  pauseQueue(
    name: string,
    request: ActionRequest,
    options?: ActionOptions,
  ): Promise<'paused' | 'pausing' | 'pausedUnknown' | 'alreadyPaused'>
  /** Has workers take work of the job again. */
  resumeQueue(
    name: string,
    by: Actor,
    options?: ActionOptions,
  ): Promise<'resumed' | 'notPaused' | 'notFound'>
  /** Cancels waiting work, which then gets no run. Its unique key is free at once. */
  cancelWork(
    which: WhichWork,
    request: ActionRequest,
    options?: ActionOptions,
  ): Promise<WorkOutcome>
  /**
   * Postpones waiting work to `startAfter`, except work that is due later already. With an instant in the past, delayed work
   * and retries become due now. It leaves `expiresAt` as it is.
   */
  postponeWork(
    which: WhichWork,
    request: ActionRequest & { startAfter: Date },
    options?: ActionOptions,
  ): Promise<WorkOutcome>
  /** Lists the steps of durable work: what has a memo, and what is open. */
  steps(workId: string): Promise<ListedStep[]>
  /**
   * Answers whether the effect of a step with `effect: 'once'` has happened. If it has, the step ends with the result of this
   * answer. If it has not, a worker calls the step again.
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
   * Gives dead letters back to the queue, with all attempts that their jobs grant. One call takes at most 10,000, from
   * the latest on: `actOnMany` takes more. Their runs record who wanted it, and why. Work stays a dead letter that two
   * or more workers have died of, or beside, unless `evenIfWorkersDied`.
   */
  redriveDeadLetters(
    which: WhichLetters,
    request: RedriveRequest,
    options?: ActionOptions,
  ): Promise<RedriveOutcome>
  /**
   * Does something to waiting work, dead letters or runs under way: up to 1,000 pieces in one transaction. Call it with
   * the `mark` of the call before until nothing is `left`. The first call fixes what the act is about. Each further call
   * leaves what came later or has changed since, such as work that was retried and has failed again.
   */
  actOnMany(request: ActOnManyRequest, options?: ActionOptions): Promise<ActOnManyOutcome>
  /** Deletes dead letters for good, at most 10,000 in one call, from the latest on. Their runs stay on record. */
  discardDeadLetters(
    which: WhichLetters,
    by: Actor,
    options?: ActionOptions,
  ): Promise<DiscardOutcome>
  /** Schedules that are data, such as one for each customer, in their zone. */
  readonly schedules: KeyedSchedules
  /** How much may run at once, over all workers. */
  readonly limits: Limits
  /** The keys by which jobs divide their work, such as customers. */
  readonly keys: Keys
}

/** The limits that jobs define, or people set. A change is on record with who made it, and holds from its commit on. */
export interface Limits {
  /**
   * Sets how many runs of a job, or of the jobs that share a limit, go on at once, instead of what the code says; null: as the code
   * says. Runs under way continue. `notFound`: no worker has the job, or has registered the limit.
   */
  set(
    which: WhichLimit,
    settings: LimitSettings,
    request: ActionRequest,
    options?: ActionOptions,
  ): Promise<'set' | 'unchanged' | 'notFound'>
  /** Lists limits, with who holds their slots now. */
  list(): Promise<ListedLimit[]>
}

export interface Keys {
  /**
   * Sets what counts for one key: how many of its runs go on at once, and whether it waits. What is left out stays. An empty key: work
   * without one. `noKeys`: no worker has registered a `partition` of the job.
   */
  set(
    job: Pick<Job, 'name'>,
    key: string,
    settings: KeySettings,
    request: ActionRequest,
    options?: ActionOptions,
  ): Promise<'set' | 'unchanged' | 'noKeys'>
  /** Lists the keys of a job: those with most that waits first, or by another order. */
  list(job: Pick<Job, 'name'>, query?: KeyQuery): Promise<KeyPage>
  /** Finds what there is to say of one key: what it has, which of its runs are under way, and what was set of it by whom. */
  get(job: Pick<Job, 'name'>, key: string): Promise<FoundKey>
}

/**
 * Schedules that a program keeps as data, each under a job and a key of its own. A change works in the transaction that
 * is its first argument; null: a transaction of this client's own. The engine records who
 * made it. While the transaction is open, no worker decides ticks of the schedules that it has changed.
 */
export interface KeyedSchedules {
  /**
   * Makes a schedule, or changes it from now on. Where cron, zone, `startsAt` or `endsAt` change, ticks that are due
   * are decided first, by the old values; any other change leaves them due. Where nothing changes, the version stays.
   * @throws ArgumentError that names the part, JobError `payload_invalid`, `schedule_owned_by_code` for an empty key, all before
   * anything is written, `schedule_changed` where its version is not `ifVersion`, and `too_many_schedules` beyond a
   * million in this database, or 500 ticks a second of all together
   */
  upsert<J extends Job>(
    tx: HostTransaction | null,
    job: J,
    schedule: KeyedSchedule<J>,
  ): Promise<UpsertedSchedule>
  /** Makes or changes up to 10,000, all or none, and locks them in the order of their keys. */
  upsertMany<J extends Job>(
    tx: HostTransaction | null,
    job: J,
    schedules: readonly KeyedSchedule<J>[],
  ): Promise<UpsertedSchedule[]>
  /** Pauses a schedule: its ticks are skipped. Its work goes on. */
  pause(
    tx: HostTransaction | null,
    job: Pick<Job, 'name'>,
    key: string,
    request: ActionRequest,
  ): Promise<'paused' | 'alreadyPaused' | 'notFound'>
  /** Resumes a schedule with its next tick. Ticks that were due meanwhile stay skipped. */
  resume(
    tx: HostTransaction | null,
    job: Pick<Job, 'name'>,
    key: string,
    by: Actor,
  ): Promise<'resumed' | 'notPaused' | 'notFound'>
  /** Decides the ticks that are due, and deletes the schedule. Its work stays in the queue, and its ticks on record. */
  delete(
    tx: HostTransaction | null,
    job: Pick<Job, 'name'>,
    key: string,
    request: Actor & { ifVersion?: number },
  ): Promise<'deleted' | 'notFound'>
  /** Enqueues work of a schedule now, beside its ticks, also while it is paused. */
  trigger(
    tx: HostTransaction | null,
    job: Pick<Job, 'name'>,
    key: string,
    request: ActionRequest,
  ): Promise<{ kind: 'requested'; workId: string } | { kind: 'notFound' }>
  /**
   * Enqueues work for up to 10,000 instants of the past that the schedule, as it is now, names: those without a tick on record, and
   * those missed, skipped or coalesced. What retention has removed is not on record.
   */
  backfill(
    tx: HostTransaction | null,
    job: Pick<Job, 'name'>,
    key: string,
    request: BackfillRequest,
  ): Promise<BackfillOutcome>
  /** Lists schedules by job and key, page by page. */
  list(query: ScheduleQuery): Promise<SchedulePage>
  /** Finds one; null where there is none. */
  get(of: { name: string; key: string }): Promise<ListedSchedule | null>
  /** Lists what became of a schedule's ticks, the newest first. */
  ticks(query: KeyedTickQuery): Promise<KeyedTickPage>
  /** Lists the next instants that a schedule would name, as its zone's clocks show them. It asks no database. */
  preview(query: PreviewQuery): PreviewedTick[]
}

/** `payloadGone`: the queue no longer holds its payload. Call `requestRun` with one instead. */
export type RunAgainOutcome =
  | { kind: 'requested'; workId: string }
  | { kind: 'payloadGone' }
  | { kind: 'notFound' }

/** The version of the client's interface. Packages that take a client, such as the Fastify plugin, check it. */
export const CLIENT_PROTOCOL = 1

/** How long stop() waits for statements under way, which may be on a connection that lost its other end. */
const CLOSE_TIMEOUT_MS = 1_000
/** Connections for reading and for acts without a transaction, and as many for enqueueing without one. */
const POOL_SIZE = 5
/** What to do without a transaction. */
const OR = {
  many: 'call enqueueManyNow(job, items) to enqueue without one',
  act: 'leave { tx } out',
  signal: 'call signalNow(signal, sent) to send it without one',
  schedule: 'pass null',
}

/** Makes a client for programs that enqueue and control work. It neither schedules nor executes any. */
export function createJobsClient(options: JobsClientOptions): JobsClient {
  const { schema, ...given } = checkClientOptions(options)
  const { enqueueFrom: _, ...client } = jobsClientIn(createSchema(schema), given)
  return client
}

/** A client that also enqueues for the handlers of runs. */
export interface Producer extends JobsClient {
  enqueueFrom(runId: string): Enqueue<HostTransaction>
}

/** Makes a client in any schema, also one of a test. */
export function jobsClientIn(
  schema: Schema,
  { databaseUrl, log: hostLog, traceEnqueue }: Omit<JobsClientOptions, 'schema'>,
): Producer {
  const log = containedLog(hostLog)
  // The caller's connection sends the work, and this one the wake-ups.
  const database = openDatabase({
    url: databaseUrl,
    applicationName: 'roundsman client',
    schema,
    poolSize: 1,
    // A test or a script of the host has to end by itself even if it does not stop the client.
    keepsProcess: false,
    log,
  })
  // Pools of their own, so that heavy reading holds up neither wake-ups nor enqueueing. Each connects when it is needed.
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
    return await inCallers(checkActionOptions(options), work, OR.act)
  }

  /** Wakes workers: a limit that was raised, or a key that goes on, makes room. */
  function onRoom(limit: string, transactionId: string): void {
    const news = { kind: 'room', limit, worker: '', about: '' } as const
    waker.wake(writeLimitNews(news), transactionId)
  }

  /** Enqueues a requested run, and records who wanted it. */
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

  /** Works in the transaction of whoever calls, or in one of its own. */
  async function inCallers<Value>(
    tx: HostTransaction | null,
    work: (connection: Connection) => Promise<Value>,
    otherwise = OR.schedule,
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
    enqueueMany: (tx, ...work) => putMany(() => asTransaction(tx, schema, OR.many), ...work),
    enqueueManyNow: (...work) => putMany(() => longOf(openPool(enqueuing)), ...work),
    signal: (tx, ...of) => sendSignal(asTransaction(tx, schema, OR.signal), waker.wake, ...of),
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
