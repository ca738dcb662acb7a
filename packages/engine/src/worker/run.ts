import { hostname } from 'node:os'
import pg from 'pg'
import { createWorker } from './createWorker.ts'
import { checkRunOptions } from '../arguments/worker.ts'
import type { Job } from '../job/defineJob.ts'
import type { HostClient } from '../job/hostTypes.ts'
import { connectionProblem } from '../database/connectionProblem.ts'
import { containedLog } from '../database/containedLog.ts'
import { migrate } from '../tables/migrate.ts'
import type { WorkerOptions } from './workerOptions.ts'

/** The transaction of handlers in `run` without a client of the host: a connection of pg, in a transaction. */
export interface PgTransaction {
  /** Sends one statement, with `$1` for its first value. */
  query<Row = { [column: string]: unknown }>(
    text: string,
    values?: unknown[],
  ): Promise<{ rows: Row[]; rowCount: number | null }>
  on(event: 'error', listener: (error: Error) => void): unknown
  connect(): Promise<unknown>
}

/** The part of a pool of pg from which its transactions get their type. */
export interface PgPool extends Omit<PgTransaction, 'connect'> {
  connect(answer: (error: Error | undefined, connection?: PgTransaction) => void): void
  readonly totalCount: number
}

export interface RunOptions<Jobs extends readonly Job[], Client extends HostClient> extends Omit<
  WorkerOptions<Jobs, Client>,
  'client'
> {
  /** As `createWorker` takes it. Default: a pool of pg, closed at the end, whose handlers get a `PgTransaction`. */
  client?: Client
  /**
   * Whether to create or upgrade the tables first, as `npx roundsman migrate` does. For one process alone: a deployment of
   * several migrates before they start. Default false: without its tables it rejects with a TablesError that names the command.
   */
  migrate?: boolean
}

/**
 * Runs a worker in this process until SIGTERM or SIGINT; then running work finishes, and it resolves. A second signal aborts
 * what runs, and gives the work back.
 * @throws an Error of one line, with the database's `code`, where the database is away or refuses the role
 * @throws ArgumentError or TablesError, as `createWorker` and its `start()` do, and with `migrate` what that throws
 */
export async function run<const Jobs extends readonly Job[], Client extends HostClient = PgPool>(
  options: RunOptions<Jobs, Client>,
): Promise<void> {
  const { migrate: migratesFirst, databaseUrl, schema, log } = checkRunOptions(options)
  const { client, migrate: _, ...given } = options
  if (migratesFirst) await inOneLine(databaseUrl, () => migrate({ databaseUrl, schema, log }))
  const pool = client === undefined ? openPool(options) : null
  const stopping = Promise.withResolvers<void>()
  try {
    const worker = createWorker<Jobs, Client>({
      ...given,
      client: client ?? (pool as unknown as Client),
    })
    const stop = () => void worker.stop().then(stopping.resolve, stopping.reject)
    for (const signal of SIGNALS) process.on(signal, stop)
    try {
      await inOneLine(databaseUrl, () => worker.start())
      await stopping.promise
    } finally {
      for (const signal of SIGNALS) process.off(signal, stop)
    }
  } finally {
    await pool?.end()
  }
}

/** A program that lets the error end it prints what to do, and no stack of the driver. */
async function inOneLine(databaseUrl: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    const problem = connectionProblem(error, databaseUrl)
    if (problem === null) throw error
    const { code } = error as NodeJS.ErrnoException
    const problemError = Object.defineProperty(new Error(`The database: ${problem}`), 'code', {
      value: code,
    })
    problemError.stack = `Error: ${problemError.message}`
    throw problemError
  }
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

function openPool({
  databaseUrl,
  log,
}: Pick<WorkerOptions<[], HostClient>, 'databaseUrl' | 'log'>) {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    application_name: `roundsman ${hostname()}:${process.pid} handlers`,
  })
  const contained = containedLog(log)
  // The pool replaces it; without a listener the process would end.
  pool.on('error', (err) => contained.warn({ err }, 'an idle connection of the handlers was lost'))
  return pool
}
