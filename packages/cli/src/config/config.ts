import type { Handler, Job } from '@roundsman/engine'

/** What `roundsman.config.ts` says of a product. Its folder is the working directory of all commands. */
export interface RoundsmanConfig {
  /** Default: the environment's DATABASE_URL. A direct connection, not one through a transaction pooler. */
  databaseUrl?: string | undefined
  /** Of the tables. Default `roundsman`. */
  schema?: string | undefined
  /** All jobs, as workers have them. Commands that only look load nothing else. */
  jobs: readonly Job[]
  /** Opens what handlers need, for `roundsman once`. Import it here, so that the other commands need not load it. */
  open?(): OpenedHandlers | Promise<OpenedHandlers>
}

export interface OpenedHandlers {
  /** The database client of the product, as `createWorker` is given it. */
  client: object
  /** By name of job, as `createWorker` is given them. */
  handlers: Readonly<Record<string, Handler<never, never>>>
  /** Called when the run is over. */
  close?(): unknown
}

/** Only helps the types. */
export function defineConfig(config: RoundsmanConfig): RoundsmanConfig {
  return config
}
