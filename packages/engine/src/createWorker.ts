import { randomBytes } from 'node:crypto'
import { availableParallelism, hostname } from 'node:os'
import { createAlertWatcher, type AlertOptions } from './alerts/createAlertWatcher.ts'
import type { HostLogger } from './job/logger.ts'
import { storableText } from './job/storableText.ts'
import {
  isEngineJob,
  isScheduled,
  JobError,
  nearest,
  pruneJobRuns,
  withEngineJobs,
  type EngineJobName,
  type HandlersFor,
  type Job,
  type HostClient,
  type TraceEnqueue,
  type TransactionOf,
} from './index.ts'
import { openRetention, type Retention } from './control/pruneJobRuns.ts'
import type { TakenWork } from './store/claimWork.ts'
import { WORK_CHANNEL } from './store/channels.ts'
import { openDatabase, type Connections } from './store/database.ts'
import { boundedClock } from './tick/boundedClock.ts'
import { createAnnouncer } from './read/announcer.ts'
import { combineObservers } from './run/combineObservers.ts'
import { recogniseHost } from './store/callersTransaction.ts'
import { containedLog } from './store/containedLog.ts'
import { createCancellations } from './run/cancellations.ts'
import type { Clock } from './tick/clock.ts'
import { createClaimer } from './work/claimer.ts'
import { createIsolation } from './run/isolated/isolation.ts'
import { createLane, type Lane } from './work/lane.ts'
import type { WorkerObserver } from './run/observer.ts'
import { executeRun } from './run/executeRun.ts'
import {
  DRAINED,
  performRun,
  WORKER_LOST,
  type RunManner,
  type RunServices,
} from './run/performRun.ts'
import { checkTables } from './store/tablesState.ts'
import { createSchema } from './store/schema.ts'
import { isSuspect } from './store/losses.ts'
import { performSuspect } from './liveness/performSuspect.ts'
import { createQueue } from './store/queue.ts'
import { createRounds } from './liveness/rounds.ts'
import { createScheduler } from './tick/scheduler.ts'
import { createSession, type Session } from './liveness/session.ts'
import { createSettler } from './run/settler.ts'
import { createWriteOuts } from './run/writeOuts.ts'
import { WRITE_OUT_AFTER_MS } from './store/starts.ts'
import { createStrays, listRuns, logForeignError } from './run/strays.ts'
import { checkMaxDetailsBytes } from './run/storableValues.ts'
import { createTurns } from './work/turns.ts'
import { createWakeUps } from './work/wakeUps.ts'
import { createWatchdog } from './run/watchdog.ts'
import { settlesWithin } from './store/settlesWithin.ts'
import { createWaker } from './store/waker.ts'

export interface WorkerOptions<Jobs extends readonly Job[], Client extends HostClient> {
  /** A direct connection: LISTEN and session locks do not pass through a transaction pooler. */
  databaseUrl: string
  /** The schema in which `migrate` made the tables. Default `roundsman`. */
  schema?: string | undefined
  /**
   * The host's database client: of Prisma, Drizzle, Kysely or Knex, a pool of pg, or the `sql` of postgres.js. Handlers get
   * its transactions. The host closes it.
   */
  client: Client
  jobs: Jobs
  /** The version of your product, such as a commit. The console shows it. Default: none. */
  version?: string | undefined
  handlers: NoInfer<HandlersFor<Jobs, TransactionOf<Client>>>
  /**
   * URL or absolute path of the file that the child processes of isolated jobs load. It exports `openHandlers`, made by
   * `defineHandlersModule`. For those jobs `handlers` and `client` are not used. Required if a job is isolated.
   */
  handlersModule?: URL | string
  /** pino, Fastify's `app.log`, winston, `console` and the like. Default: warnings and errors go to standard error. */
  log?: HostLogger | undefined
  /**
   * How long the engine keeps its records. Its own job `pruneJobRuns`, which all workers schedule and run, deletes older ones;
   * with `false` nothing does, and the tables grow for ever. Default: 30 days for successful runs and ticks, 90 for failed
   * runs, 365 for actions of people.
   */
  retention?: Retention | false
  /** Runs at once of each job without a limit of its own; of an isolated job at most one per processor. Default 10. */
  concurrency?: number
  /** How long stop() lets runs finish before it aborts them and gives their work back. Default 25,000 ms. */
  drainTimeoutMs?: number
  /**
   * How long lanes take no new work so that a suspect, whose work has lost several workers, can run alone. If other runs have
   * not ended by then, the worker gives the suspect back, and no suspect holds the lanes up for ten times as long. Default and
   * maximum 30,000 ms, so that the wait stays below what the queue allows an attempt.
   */
  aloneWaitMs?: number
  /**
   * What to do about errors that nobody caught (unhandled rejections, uncaught exceptions), for which Node would end the
   * process. `contain` (default): the run that caused one ends as failed with code `handler_crashed`, and the others go on; if
   * no run can be named, the worker stops and calls `onFatal`. `leave`: the host handles them.
   */
  strays?: 'contain' | 'leave'
  /**
   * Called when the worker has stopped itself over an error that belongs to no run: the process is in an unknown state and has
   * to end. Default: the worker ends it with exit code 1, as Node would without a worker, unless others listen to
   * `uncaughtException` or `unhandledRejection`.
   */
  onFatal?: (error: unknown) => void
  /**
   * Ends the process by SIGALRM when its event loop has been blocked for longer than the longest time-out of its runs plus
   * `marginMs` (default 10,000), and writes to standard error what ran. Costs a thread while there are runs. Default true.
   */
  watchdog?: boolean | { marginMs?: number }
  /** Names of jobs whose work this worker leaves to other workers; without any, that work waits. Default: none. */
  leave?: readonly string[]
  /**
   * Names of the only jobs whose work this worker takes. It still schedules all jobs, so that ticks are decided whichever
   * worker lives. Default: all.
   */
  only?: readonly (NoInfer<Jobs>[number]['name'] | EngineJobName)[] | undefined
  /**
   * How many bytes of JSON a handler may return as details. A run with more ends as failed with code `details_too_large`,
   * though its work is done; its counts stay. Default 65,536; at most 16,000,000.
   */
  maxDetailsBytes?: number
  /**
   * Whether to store with each run what its handler writes by `ctx.log`: the last 100 lines that the logger writes, at most
   * 64 kB, with the payload's texts redacted. They are deleted with the run. Default true.
   */
  keepLogs?: boolean
  /** Observers of what the worker does. Default: none, at no cost. */
  observers?: readonly WorkerObserver[]
  /** Whom to tell when something is wrong, and when. Default: nobody. */
  alerts?: AlertOptions | undefined
  /** Traces what the handlers enqueue. Default: nothing is traced. */
  traceEnqueue?: TraceEnqueue | undefined
  /** Default: the system's time. */
  now?: () => Date
  /** Default: node-cron, every second. */
  clock?: Clock
}

export interface Worker {
  readonly id: string
  /**
   * Starts the worker. Rejects when the database cannot be reached, and then leaves nothing open. A worker starts once: make
   * another one after a failure or a stop.
   * @throws TablesError when the tables do not fit this version: run `migrate`, or this version is too old
   */
  start(): Promise<void>
  /**
   * Takes no new work, lets runs finish, then aborts them and gives their work back. A second call aborts them at once. It
   * takes at most 15 s beyond `drainTimeoutMs`, even when the database does not answer.
   */
  stop(options?: { drainTimeoutMs?: number }): Promise<void>
  /** Whether others can see that it lives, and it is not stopping. */
  isReady(): boolean
  /** The engine's own connections. Handlers use those of the host's client. */
  connections(): Connections
}

const MAX_VERSION_LENGTH = 100
/** How long aborting and settling may take after the drain's time-out, when the database answers slowly or not at all. */
const SETTLE_TIMEOUT_MS = 9_000
/** How long each part may take to close after that. In all a stop takes up to 15 s beyond the drain's time-out. */
const CLOSE_TIMEOUT_MS = 1_000
/** How long runs may finish in a process that is in an unknown state. */
const FATAL_DRAIN_MS = 5_000
/** After so long the process ends, even with runs under way. */
const FATAL_TIMEOUT_MS = 30_000

/**
 * Makes a worker: it schedules the jobs, takes their work and carries it out. Nothing happens before `start()`.
 * @throws TypeError when a limit is out of range, the client is of no known library, a job is isolated and
 * `handlersModule` is missing or invalid, there is a handler for one of the engine's own jobs, or `only` names an unknown
 * job
 */
export function createWorker<const Jobs extends readonly Job[], Client extends HostClient>(
  options: WorkerOptions<Jobs, Client>,
): Worker {
  const { databaseUrl, client, handlers, concurrency = 10, retention = {} } = options
  if (pruneJobRuns.name in handlers) {
    throw new TypeError(
      `Job "${pruneJobRuns.name}": it is the engine's own; take its handler out, and set retention instead`,
    )
  }
  const jobs: readonly Job[] =
    retention === false
      ? options.jobs.filter((job) => !isEngineJob(job))
      : withEngineJobs(options.jobs)
  const log = containedLog(options.log)
  const now = boundedClock(options.now)
  const id = createWorkerId()
  const schema = createSchema(options.schema)
  // Throws here instead of at the first batch.
  recogniseHost(client, schema)
  const { only, leave = [] } = options
  checkOnly(only, jobs)
  const taken = jobs.filter(
    ({ name }) => !leave.includes(name) && (only === undefined || only.includes(name)),
  )
  const isolation = createIsolation({
    handlersModule: options.handlersModule,
    jobs: taken,
    databaseUrl,
    schema,
    workerId: id,
    log,
  })
  const database = openDatabase({
    url: databaseUrl,
    applicationName: `roundsman ${id} engine`,
    schema,
    canPrepare: () => session.isLasting(),
    log,
  })
  const lanesOf = (job: Job): number => {
    const most = job.isolate === null ? concurrency : Math.min(concurrency, availableParallelism())
    return job.concurrency ?? most
  }
  const session: Session = createSession({
    url: databaseUrl,
    database,
    workerId: id,
    version:
      options.version === undefined ? null : storableText(options.version, MAX_VERSION_LENGTH),
    lanes: Object.fromEntries(taken.map((job) => [job.name, job.isExclusive ? 1 : lanesOf(job)])),
    log,
  })
  const { traceEnqueue } = options
  const observers = combineObservers(options.observers ?? [], log)
  const waker = createWaker(database, log)
  const wakeUps = createWakeUps(database)
  const queue = createQueue({
    database,
    waker,
    log,
    supervise: {
      openPatient: () =>
        openDatabase({
          url: databaseUrl,
          applicationName: `roundsman ${id} maintenance`,
          schema,
          poolSize: 1,
          statementTimeoutMs: null,
          log,
        }),
    },
    traceEnqueue,
  })
  const settler = createSettler({ database, queue, workerId: id, log, observers })
  const scheduler = createScheduler({
    jobs: jobs.filter(isScheduled),
    database,
    queue,
    workerId: id,
    log,
    now,
    onTick: (name) => announcer.tick(name),
    onWork: (name) => waker.wake(name, null),
    observers,
    ...(options.clock && { clock: options.clock }),
  })
  const announcer = createAnnouncer(database, log)
  const cancellations = createCancellations({ database, session, wakeUps, workerId: id })
  const shared: RunServices = {
    client,
    settler,
    cancellations,
    database,
    queue,
    workerId: id,
    log,
    now,
    observers,
    maxDetailsBytes: checkMaxDetailsBytes(options.maxDetailsBytes),
    keepLogs: options.keepLogs,
    writeOut: createWriteOuts(database, log),
    onChange: (run) => announcer.run(run),
  }
  const own = retention === false ? null : openRetention(retention, jobs, database)
  const { watchdog: watching = true } = options
  const strays = createStrays({
    log,
    execute: executeRun,
    onStart: (run) => watchdog?.watch(run),
    onUnnamed: (error) => failOver(error),
  })
  const watchdog =
    watching === false
      ? null
      : createWatchdog({
          marginMs: (watching === true ? undefined : watching.marginMs) ?? 10_000,
          log,
          running: strays.running,
        })
  const claimer = createClaimer({
    database,
    workerId: id,
    now,
    onNotAlive: session.doubt,
    mayStart: (job) => job.isolate === null && !talkative.has(job.name),
    observers,
  })
  const turns = createTurns({
    waitMs: Math.min(options.aloneWaitMs ?? 30_000, 30_000),
    onOpen: wakeAll,
  })
  const lanes = new Map<string, Lane>()
  for (const job of taken) {
    lanes.set(
      job.name,
      createLane({
        job,
        concurrency: lanesOf(job),
        claimer,
        log,
        observers,
        turns: job.isolate === null ? turns : undefined,
        execute: (work) => perform(job, work),
      }),
    )
  }
  const rounds = createRounds({
    session,
    database,
    queue,
    cancellations,
    workerId: id,
    names: taken.map(({ name }) => name),
    log,
    now,
    observers,
    onReady: (name) => lanes.get(name)?.wake(),
    onEnded: (run) => announcer.run(run),
  })
  const alerts =
    options.alerts &&
    createAlertWatcher({
      ...options.alerts,
      databaseUrl,
      schema: options.schema,
      jobs,
      log: options.log,
    })
  // Jobs whose last run was written before its end. The next one will be too, and writing it at the claim costs less.
  const talkative = new Set<string>()
  let isStarted = false
  let stopping: Promise<void> | null = null
  let isFailing = false

  function wakeAll(): void {
    for (const lane of lanes.values()) lane.wake()
  }

  async function perform(job: Job, work: TakenWork): Promise<unknown> {
    const its = isEngineJob(job) ? own : null
    const services = its === null ? shared : { ...shared, client: its.client }
    const manner: RunManner = {
      job,
      handler: its?.handler ?? (handlers[job.name as keyof typeof handlers] as never),
      execute: job.isolate === null ? strays.execute : isolation.execute,
    }
    // An isolated run cannot harm this process, so it needs no turn.
    if (job.isolate !== null) return await performRun(services, work, manner)
    if (isSuspect(work.envelope)) return await performSuspect(services, work, manner, turns)
    turns.enter()
    try {
      const ending = await performRun(services, work, manner)
      if (work.hasSpoken || ending.durationMs > WRITE_OUT_AFTER_MS) talkative.add(job.name)
      else talkative.delete(job.name)
      return ending
    } finally {
      turns.leave()
    }
  }

  async function drain(drainTimeoutMs: number): Promise<void> {
    claimer.stop()
    turns.stop()
    const all = [...lanes.values()]
    const quiet = Promise.all([scheduler.stop(), rounds.stop(), ...all.map((lane) => lane.stop())])
    const idle = quiet.then(() => Promise.all(all.map((lane) => lane.idle())))
    if (!(await settlesWithin(idle, drainTimeoutMs))) {
      const runs = all.reduce((sum, lane) => sum + lane.running(), 0)
      log.warn({ runs }, 'drain timed out, aborting the runs that are left')
      abortRuns()
      if (!(await settlesWithin(idle, SETTLE_TIMEOUT_MS))) {
        log.warn('the database does not answer: the rescue will end the runs that are left')
      }
    }
    await close()
  }

  /** Closes everything, in any state. It waits for nothing that does not answer, and leaves nothing that keeps the process. */
  async function close(): Promise<void> {
    settler.stop()
    wakeUps.stop()
    await alerts?.stop({ timeoutMs: CLOSE_TIMEOUT_MS })
    await settlesWithin(isolation.stop(), CLOSE_TIMEOUT_MS)
    await settlesWithin(queue.stop(), CLOSE_TIMEOUT_MS)
    await settlesWithin(Promise.all([waker.stop(), announcer.stop()]), CLOSE_TIMEOUT_MS)
    // The session after all others: it releases the lock that says that this worker lives.
    await session.stop()
    await database.close({ timeoutMs: CLOSE_TIMEOUT_MS })
  }

  function abortRuns(): void {
    cancellations.abortAll(
      isFailing
        ? new JobError(WORKER_LOST, 'The worker stopped because of an error that belongs to no run')
        : new JobError(DRAINED, 'The worker is shutting down; the work is given back'),
    )
  }

  /** Stops the worker and ends the process: any run may have caused the error, and all that follows may be wrong. */
  function failOver(reason: unknown): void {
    const runs = listRuns(strays.running())
    if (isFailing) {
      logForeignError(log, 'error', { runs }, reason, 'another error that belongs to no run')
      return
    }
    isFailing = true
    logForeignError(log, 'fatal', { runs }, reason, 'an error belongs to no run: the worker stops')
    void endProcess(reason)
  }

  async function endProcess(reason: unknown): Promise<void> {
    const drainTimeoutMs = Math.min(options.drainTimeoutMs ?? FATAL_DRAIN_MS, FATAL_DRAIN_MS)
    try {
      await settlesWithin(worker.stop({ drainTimeoutMs }), FATAL_TIMEOUT_MS)
    } catch (error) {
      log.error({ err: error }, 'the worker could not be stopped')
    }
    strays.stop()
    if (options.onFatal) options.onFatal(reason)
    else if (!isAnybodyListening()) process.exit(1)
  }

  async function drainAndLeave(drainTimeoutMs: number): Promise<void> {
    try {
      await drain(drainTimeoutMs)
    } finally {
      strays.stop()
      await watchdog?.stop()
    }
  }

  const worker: Worker = {
    id,
    async start() {
      if (isStarted || stopping) {
        throw new Error('This worker was started before: create another one with createWorker')
      }
      isStarted = true
      try {
        await checkTables(database)
        await session.start()
        await queue.start(jobs)
        const hearer = {
          isWanted: (name: string) => lanes.has(name),
          onCommitted: (name: string) => lanes.get(name)?.wake(),
        }
        await session.listen(WORK_CHANNEL, (payload) => wakeUps.hear(payload, hearer), wakeAll)
        await cancellations.start()
        await scheduler.start()
      } catch (error) {
        // Close what was opened.
        stopping ??= scheduler.stop().then(close)
        await stopping
        throw error
      }
      strays.start({ isContained: options.strays !== 'leave' })
      for (const lane of lanes.values()) lane.start()
      rounds.start()
      alerts?.start()
      log.info(
        {
          workerId: id,
          jobs: jobs.filter(isScheduled).map(({ name, schedule }) => ({ name, ...schedule })),
          ...(only && { takesOnly: taken.map(({ name }) => name) }),
        },
        'Jobs scheduler enabled',
      )
    },
    stop({ drainTimeoutMs = options.drainTimeoutMs ?? 25_000 } = {}) {
      if (stopping) abortRuns()
      stopping ??= drainAndLeave(drainTimeoutMs)
      return stopping
    },
    isReady: () => session.connectedForMs() !== null && stopping === null,
    connections: database.connections,
  }
  return worker
}

/** @throws TypeError when `only` names no job, or one that this worker does not have */
function checkOnly(only: readonly string[] | undefined, jobs: readonly Job[]): void {
  if (only === undefined) return
  const names = jobs.map(({ name }) => name)
  if (only.length === 0)
    throw new TypeError('only: a worker that takes no job does nothing; name one, or leave it out')
  const unknown = only.find((name) => !names.includes(name))
  if (unknown === undefined) return
  const meant = nearest(unknown, names)
  const remedy = meant === null ? `; there are ${names.join(', ')}` : `: did you mean ${meant}?`
  throw new TypeError(
    `only: there is no job ${storableText(JSON.stringify(unknown), 120)} among those of this worker${remedy}`,
  )
}

/** Whether others listen to uncaught errors: then they decide whether the process lives. */
function isAnybodyListening(): boolean {
  return (
    process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection') > 0
  )
}

/** Makes a worker's id, for people and for the lock: host, process, and a part that no restart repeats. */
export function createWorkerId(): string {
  return `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`
}
