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
  /** In which `migrate` has made the tables. Default `roundsman`. */
  schema?: string | undefined
  /**
   * The host's own: of Prisma, Drizzle, Kysely or Knex, a pool of pg's, or the `sql` of postgres.js. Hands its transactions
   * to the handlers; whoever made it closes it.
   */
  client: Client
  jobs: Jobs
  /** What of your product it runs, such as a commit: the console says it. Default: nothing is said. */
  version?: string | undefined
  handlers: NoInfer<HandlersFor<Jobs, TransactionOf<Client>>>
  /**
   * The file, by its URL or absolute path, that the child processes of isolated jobs load: it exports `openHandlers`,
   * made by `defineHandlersModule`. For those jobs `handlers` and `client` are not used. Needed if a job is isolated.
   */
  handlersModule?: URL | string
  /** pino, Fastify's `app.log`, winston, `console` and the like. Default: warnings and errors go to standard error. */
  log?: HostLogger | undefined
  /**
   * How long it stays on record what was done: by a job of the engine's own, `pruneJobRuns`, that all workers schedule
   * and run. `false`: none does, and the tables grow for ever. Default: runs that succeeded and ticks 30 days, failed
   * runs 90, what people did 365.
   */
  retention?: Retention | false
  /** Runs at once for each job that sets no limit of its own; of an isolated one no more than processors. Default 10. */
  concurrency?: number
  /** How long stop() lets running work finish before it is aborted and given back. Default 25,000 ms. */
  drainTimeoutMs?: number
  /**
   * How long lanes take no new work so that a suspect, which has lost several workers, can run alone. What runs has
   * not ended by then: the suspect is given back, and the lanes are left in peace for ten times as long. Default
   * 30,000 ms, and at most that, so that the wait stays below what the queue allows an attempt.
   */
  aloneWaitMs?: number
  /**
   * What becomes of errors that nobody caught (unhandled rejections, uncaught exceptions), for which Node would end the
   * process. `contain` (default): the run that left it behind ends as failed with code `handler_crashed`, and the
   * others go on; where none can be named, the worker stops and `onFatal` is called. `leave`: the host sees to them.
   */
  strays?: 'contain' | 'leave'
  /**
   * Called when the worker has stopped by itself, over an error that belongs to no run: the process is in a state that
   * nobody knows, and has to end. Default: it ends with exit code 1, as it would without a worker, unless others
   * listen to `uncaughtException` or `unhandledRejection`.
   */
  onFatal?: (error: unknown) => void
  /**
   * Ends the process by SIGALRM when its event loop has been blocked for longer than the longest time-out of what runs
   * in it, and `marginMs` (default 10,000), and says on standard error who ran. Costs a thread while there are runs.
   * Default true.
   */
  watchdog?: boolean | { marginMs?: number }
  /** Names of jobs whose work this worker leaves to others; where there are none, it waits. Default: none. */
  leave?: readonly string[]
  /**
   * Names of the jobs whose work this worker takes; it leaves that of all others to others. It still schedules all of them,
   * so that ticks are decided whichever worker lives. Default: all.
   */
  only?: readonly (NoInfer<Jobs>[number]['name'] | EngineJobName)[] | undefined
  /**
   * Of what a handler returns, as JSON. A run with more ends as failed with code `details_too_large`, though its work
   * is done; its counts are kept. Default 65,536; at most 16,000,000.
   */
  maxDetailsBytes?: number
  /**
   * Whether what a handler writes by `ctx.log` is kept with its run as well, for whoever looks at that: the last 100 lines
   * that the logger writes, at most 64 kB, without what the payload holds. They go when the run goes. Default true.
   */
  keepLogs?: boolean
  /** Told of what the worker does. Default: none, at no cost. */
  observers?: readonly WorkerObserver[]
  /** Whom to tell when something is wrong, and from when on. Default: nobody is told. */
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
   * Rejects when the database cannot be reached; then nothing stays open. Each worker is started once: after that, and
   * after it was stopped, another one has to be made.
   * @throws TablesError when the tables in it do not go with this version: `migrate` has to run, or this is too old
   */
  start(): Promise<void>
  /**
   * Takes no new work, lets running work finish, then aborts it and gives it back. Can be called again to abort at once.
   * It takes 15 s beyond the drain's time-out at most, also where the database does not answer.
   */
  stop(options?: { drainTimeoutMs?: number }): Promise<void>
  /** Whether it holds the connection by which the others know that it lives. */
  isReady(): boolean
  /** The engine's own; handlers have those of the host's client. */
  connections(): Connections
}

const MAX_VERSION_LENGTH = 100
/** What aborting and settling may take after the drain's time-out, where the database answers slowly or not at all. */
const SETTLE_TIMEOUT_MS = 9_000
/** After that, each part that has to be closed has so long; together, a stop takes 15 s beyond the drain's time-out. */
const CLOSE_TIMEOUT_MS = 1_000
/** How long runs may finish in a process that is in an unknown state. */
const FATAL_DRAIN_MS = 5_000
/** After that it ends, whatever has not come to its end. */
const FATAL_TIMEOUT_MS = 30_000

/**
 * @throws TypeError when a limit is out of range, the client is of no library that is known, a job is isolated and
 * `handlersModule` is no place of a module, there is a handler for a job that is the engine's own, or `only` names a job
 * that there is not
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
  // Better now than at the first batch.
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
  // Jobs whose last run was written before its end, as the next will be: to write it at once costs less.
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
    // It can do this process no harm.
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
      log.warn({ runs }, 'drain timed out, aborting what runs')
      abortRuns()
      if (!(await settlesWithin(idle, SETTLE_TIMEOUT_MS))) {
        log.warn('the database does not answer: what is left is given to the rescue')
      }
    }
    await close()
  }

  /** Whatever state it is in. Nothing is waited for that does not answer, and afterwards nothing keeps the process. */
  async function close(): Promise<void> {
    settler.stop()
    wakeUps.stop()
    await alerts?.stop({ timeoutMs: CLOSE_TIMEOUT_MS })
    await settlesWithin(isolation.stop(), CLOSE_TIMEOUT_MS)
    await settlesWithin(queue.stop(), CLOSE_TIMEOUT_MS)
    await settlesWithin(Promise.all([waker.stop(), announcer.stop()]), CLOSE_TIMEOUT_MS)
    // Last: with the session goes the lock that says that this worker lives.
    await session.stop()
    await database.close({ timeoutMs: CLOSE_TIMEOUT_MS })
  }

  function abortRuns(): void {
    cancellations.abortAll(
      isFailing
        ? new JobError(WORKER_LOST, 'The worker ended itself over an error that belongs to no run')
        : new JobError(DRAINED, 'The worker is shutting down; the work is given back'),
    )
  }

  /** Any of the runs may have done it, and whatever this process does from now on may be wrong. */
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
        throw new Error('A worker is started once: make another one with createWorker')
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
        // Nothing stays open of what can't be used.
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

/** Then it is theirs to decide whether the process lives. */
function isAnybodyListening(): boolean {
  return (
    process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection') > 0
  )
}

/** Who executes a run, for people and for the lock: host, process, and something no restart repeats. */
export function createWorkerId(): string {
  return `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`
}
