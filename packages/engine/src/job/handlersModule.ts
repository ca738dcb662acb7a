import type { Logger } from 'pino'
import type { Job } from './defineJob.ts'
import type { HandlersFor, JobsPrismaClient, TransactionOf } from './handler.ts'

/** What the process of an isolated run is given to open its handlers with. */
export interface HandlersSetting {
  /** The worker's. */
  databaseUrl: string
  /** Writes into the worker's log. */
  log: Logger
}

/** What the process of an isolated run works with. */
export interface HandlersModule<Jobs extends readonly Job[], Client extends JobsPrismaClient> {
  /** At least those that are isolated. Time-out and guard are the worker's own, the payload's schema is taken from here. */
  jobs: Jobs
  handlers: HandlersFor<Jobs, TransactionOf<Client>>
  /** One of its own, with a small pool: there is one run at a time. */
  prisma: Client
  /** Called before an idle process ends, which has half a second for it; never after a run that failed. */
  close?(): Promise<void>
}

/**
 * For the export `openHandlers` of a `handlersModule`: opens what the handlers need, once in each process, at its first
 * run. It only helps the types.
 */
export function defineHandlersModule<
  const Jobs extends readonly Job[],
  Client extends JobsPrismaClient,
>(
  open: (setting: HandlersSetting) => Promise<HandlersModule<Jobs, Client>>,
): (setting: HandlersSetting) => Promise<HandlersModule<Jobs, Client>> {
  return open
}
