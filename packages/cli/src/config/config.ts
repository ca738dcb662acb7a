import type { HostClient, Job } from '@roundsman/engine'
import type { WorkerOptions } from '@roundsman/engine/worker'

/** The configuration of a product in `roundsman.config.ts`. Commands run in its folder. */
export interface RoundsmanConfig {
  /** Default: DATABASE_URL. Name a direct connection, not one through a transaction pooler. */
  databaseUrl?: string | undefined
  /** The schema of the engine's tables. Default `roundsman`. */
  schema?: string | undefined
  /** All jobs of the workers. Commands that only read load nothing else. */
  jobs: readonly Job[]
  /**
   * Opens the database client and returns the handlers. Only `once`, `worker`, `dev` and `build` call it. Import the handlers
   * inside this function: other commands then do not load them.
   */
  open?(): OpenedHandlers | Promise<OpenedHandlers>
}

export interface OpenedHandlers {
  /** The product's database client, as `createWorker` takes it. */
  client: object
  /** Keyed by the job's name, as `createWorker` takes them. */
  handlers: Readonly<Record<string, (context: never) => Promise<unknown>>>
  /**
   * Settings of the worker that `roundsman worker`, `dev` and `build` start, such as `concurrency` or `log`. Default: `{ log:
   * console }`. `roundsman once` uses those that concern a run: `handlersModule`, `observers`, `traceEnqueue`, `version`, and
   * `retention` for `pruneJobRuns`.
   */
  worker?: Omit<
    WorkerOptions<readonly Job[], HostClient>,
    'databaseUrl' | 'schema' | 'client' | 'jobs' | 'handlers'
  >
  /** Called when the run is over, or the worker has stopped. */
  close?(): unknown
}

/** Returns the configuration unchanged: only its type is checked. */
export function defineConfig(config: RoundsmanConfig): RoundsmanConfig {
  return config
}
