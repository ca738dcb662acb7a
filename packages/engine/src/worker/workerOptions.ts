import type { AlertOptions } from '../alerts/createAlertWatcher.ts'
import type { Retention } from '../control/pruneJobRuns.ts'
import type { EngineJobName } from '../job/engineJobs.ts'
import type { HandlersFor } from '../job/handler.ts'
import type { HostClient, TransactionOf } from '../job/hostTypes.ts'
import type { Job } from '../job/defineJob.ts'
import type { TraceEnqueue } from '../job/enqueue.ts'
import type { HostLogger } from '../job/logger.ts'
import type { WorkerObserver } from '../run/observer.ts'
import type { Connections } from '../database/database.ts'
import type { Clock } from '../tick/clock.ts'

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
   * with `false` nothing does, and the tables grow without end. Default: 30 days for successful runs and ticks, 90 for failed
   * runs, 365 for actions of people.
   */
  retention?: Retention | false
  /** Runs at once of each job without a limit of its own; of an isolated job at most one per processor. Default 10, at most 10,000. */
  concurrency?: number
  /**
   * How long stop() lets runs finish before it aborts them and gives their work back; Infinity lets them all finish. Default
   * 25,000 ms.
   */
  drainTimeoutMs?: number | undefined
  /**
   * What to do about unhandled rejections and uncaught exceptions, for which Node would end the process. `contain` (default): the run that caused one ends as failed with code `handler_crashed`, and the others go on; if
   * no run can be named, the worker stops and calls `onFatal`. `leave`: the host handles them.
   */
  uncaught?: 'contain' | 'leave' | undefined
  /**
   * Called when the worker has stopped itself over an error that belongs to no run: the process is in an unknown state and has
   * to end. Default: the worker ends it with exit code 1, as Node would without a worker, unless others listen to
   * `uncaughtException` or `unhandledRejection`.
   */
  onFatal?: ((error: unknown) => void) | undefined
  /**
   * Ends the process by SIGALRM when its event loop has been blocked for longer than the longest time-out of its runs plus
   * 10 s, and writes the runs under way to standard error. Costs a thread while there are runs. Default true.
   */
  watchdog?: boolean | undefined
  /** Names of jobs whose work this worker leaves to others; without another worker that work waits. Default: none. */
  except?: readonly (NoInfer<Jobs>[number]['name'] | EngineJobName)[] | undefined
  /**
   * Names of the only jobs whose work this worker takes. It still schedules all jobs, so that any living
   * worker decides ticks. Default: all.
   */
  only?: readonly (NoInfer<Jobs>[number]['name'] | EngineJobName)[] | undefined
  /**
   * Whether to store with each run what its handler writes by `ctx.log`: the last 100 lines that the logger writes, at most
   * 64 kB, with credentials and e-mail addresses masked. They are deleted with the run. Default true.
   */
  keepLogs?: boolean
  /** Observers of what the worker does. Default: none, at no cost. */
  observers?: readonly WorkerObserver[]
  /** Which problems lead to a message, and on which channels. Default: none. */
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
   * Starts the worker. Resolves once it runs, or once it is closed if it is stopped meanwhile. Rejects when the database cannot
   * be reached, and then leaves nothing open. A worker starts once: make another one after a failure or a stop.
   * @throws TablesError when the tables do not fit this version: run `migrate`, or this version is too old
   */
  start(): Promise<void>
  /**
   * Takes no new work, lets runs finish, then aborts them and gives their work back. A second call aborts them at once. It
   * takes at most 15 s beyond `drainTimeoutMs`, even when the database does not answer.
   * @throws ArgumentError, and goes on working, when `drainTimeoutMs` is no number from 0 on
   */
  stop(options?: { drainTimeoutMs?: number }): Promise<void>
  /** Whether others can see that it lives, and it is not stopping. */
  isReady(): boolean
  /** The engine's own connections. Handlers use those of the host's client. */
  connections(): Connections
}
