import { ArgumentError, type HostLogger, type Job } from '@roundsman/engine'
import {
  createJobsClient,
  openReader,
  type JobsClient,
  type JobsReader,
} from '@roundsman/engine/client'
import type { OpenedHandlers } from '../config/config.ts'
import type { Terminal } from './runCommand.ts'

/** The parts of a product that commands use. */
export interface Product {
  /** The jobs with the overrides of environment variables. */
  jobs: readonly Job[]
  /** The jobs as they are defined. */
  catalogue: readonly Job[]
  /** False if no worker of this environment schedules or executes jobs. */
  isEnabled: boolean
  /** The variable that overrides a job's schedule. Null if this product has none. */
  cronVariable: ((jobName: string) => string) | null
  /** Opens the database while `work` runs. Foreseen errors become ForeseenError. */
  within<Value>(work: (place: DatabasePlace) => Promise<Value>): Promise<Value>
  /** Opens everything that a run needs while `work` runs. Foreseen errors become ForeseenError. */
  withHandlers<Value>(work: (opened: RunPlace) => Promise<Value>): Promise<Value>
}

export interface DatabasePlace {
  databaseUrl: string
  schema?: string | undefined
}

/** The database with all tables, the handlers, and a log. The log must not use standard output, which is for the result. */
export interface RunPlace extends DatabasePlace, Omit<OpenedHandlers, 'close'> {
  log: HostLogger
}

/** The call of a command, and its product. */
export interface ProductSource<Needed extends keyof Product = keyof Product> {
  /** The words before its arguments: `roundsman list`. */
  call: string
  /** @throws ForeseenError */
  open(terminal: Terminal): Promise<Pick<Product, Needed>>
}

/** The result of a lookup, or the reason why there is none. */
export type Looked<Found> = { found: Found; reason: null } | { found: null; reason: string }

/** Looks something up for commands that are useful without a database as well: then it returns the reason. */
export async function look<Found>(
  { within }: Pick<Product, 'within'>,
  read: (reader: JobsReader) => Promise<Found>,
): Promise<Looked<Found>> {
  try {
    return { found: await within((place) => withReader(place, read)), reason: null }
  } catch (error) {
    // An error of the command line, not of the database.
    if (error instanceof ArgumentError) throw error
    return { found: null, reason: (error as Error).message }
  }
}

const STATEMENT_TIMEOUT_MS = 10_000

/** Reads from a database. It logs nothing, since an error that prevents reading is thrown. */
export async function withReader<Found>(
  place: DatabasePlace,
  read: (reader: JobsReader) => Promise<Found>,
): Promise<Found> {
  const reader = openReader({
    ...place,
    poolSize: 1,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    log: { warn: () => undefined },
  })
  try {
    return await read(reader)
  } finally {
    await reader.close()
  }
}

/** Starts a client for `work` and stops it afterwards. The client's warnings go to standard error. */
export async function withClient<Value>(
  { within }: Pick<Product, 'within'>,
  work: (client: JobsClient) => Promise<Value>,
): Promise<Value> {
  return await within(async (place) => {
    const client = createJobsClient(place)
    try {
      await client.start()
      return await work(client)
    } finally {
      await client.stop()
    }
  })
}
