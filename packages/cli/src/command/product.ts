import { ArgumentError, type HostLogger, type Job } from '@roundsman/engine'
import {
  createJobsClient,
  openReader,
  type JobsClient,
  type JobsReader,
} from '@roundsman/engine/client'
import type { OpenedHandlers } from '../config/config.ts'
import type { Terminal } from './runCommand.ts'

/** What commands know of a product. */
export interface Product {
  /** The jobs as environment variables change them. */
  jobs: readonly Job[]
  /** The jobs as they are defined. */
  catalogue: readonly Job[]
  /** False when no worker of this environment schedules or executes anything. */
  isEnabled: boolean
  /** The variable that overrides a job's schedule. Null: this product has none. */
  cronVariable: ((jobName: string) => string) | null
  /** Gives `work` the database for as long as it takes. Foreseen errors become ForeseenError. */
  within<Value>(work: (place: DatabasePlace) => Promise<Value>): Promise<Value>
  /** Gives `work` what a run needs for as long as it takes. Foreseen errors become ForeseenError. */
  withHandlers<Value>(work: (opened: RunPlace) => Promise<Value>): Promise<Value>
}

export interface DatabasePlace {
  databaseUrl: string
  schema?: string | undefined
}

/** The database with all tables, the handlers, and a log, which must not go to standard output: that is for the result. */
export interface RunPlace extends DatabasePlace, Omit<OpenedHandlers, 'close'> {
  log: HostLogger
}

/** How a command is called, and where it finds its product. */
export interface ProductSource<Needed extends keyof Product = keyof Product> {
  /** What stands before its arguments: `roundsman list`. */
  call: string
  /** @throws ForeseenError */
  open(terminal: Terminal): Promise<Pick<Product, Needed>>
}

/** What was found, or why nothing could be looked up. */
export type Looked<Found> = { found: Found; reason: null } | { found: null; reason: string }

/** Looks something up for commands that are useful without a database as well: then it returns the reason. */
export async function look<Found>(
  { within }: Pick<Product, 'within'>,
  read: (reader: JobsReader) => Promise<Found>,
): Promise<Looked<Found>> {
  try {
    return { found: await within((place) => withReader(place, read)), reason: null }
  } catch (error) {
    // Nothing is wrong with the database then, but with the command line.
    if (error instanceof ArgumentError) throw error
    return { found: null, reason: (error as Error).message }
  }
}

const STATEMENT_TIMEOUT_MS = 10_000

/** Reads from a database. Nothing is logged: what keeps it from reading is thrown already. */
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
