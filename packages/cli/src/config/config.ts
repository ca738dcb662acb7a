import type { HostClient, Job } from '@roundsman/engine'
import type { WorkerOptions } from '@roundsman/engine/worker'

/** What `roundsman.config.ts` says of a product. Commands run in its folder. */
export interface RoundsmanConfig {
  /** Default: DATABASE_URL. Name a direct connection, not one through a transaction pooler. */
  databaseUrl?: string | undefined
  /** The schema of the engine's tables. Default `roundsman`. */
  schema?: string | undefined
  /** All jobs, as workers have them. Commands that only read load nothing else. */
  jobs: readonly Job[]
  /**
   * Opens what the handlers need, for `roundsman once`, `worker`, `dev` and `build`. Import it in here, so that other commands need
   * not load it.
   */
  open?(): OpenedHandlers | Promise<OpenedHandlers>
}

export interface OpenedHandlers {
  /** The product's database client, as `createWorker` takes it. */
  client: object
  /** Keyed by the job's name, as `createWorker` takes them. */
  handlers: Readonly<Record<string, (context: never) => Promise<unknown>>>
  /**
   * Settings of the worker that `roundsman worker`, `dev` and `build` start, such as `concurrency` or `log`. Default:
   * `{ log: console }`. Those that are about a run, `roundsman once` follows as well: `handlersModule`, `observers`,
   * `traceEnqueue`, `version`, and `retention` for `pruneJobRuns`.
   */
  worker?: Omit<
    WorkerOptions<readonly Job[], HostClient>,
    'databaseUrl' | 'schema' | 'client' | 'jobs' | 'handlers'
  >
  /** Called when the run is over, or the worker has stopped. */
  close?(): unknown
}

/** Returns the configuration as it is: only its type is checked. */
export function defineConfig(config: RoundsmanConfig): RoundsmanConfig {
  return config
}
