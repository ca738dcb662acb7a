import pg from 'pg'
import { readPassword, type Cluster } from './openCluster.ts'

/** Any constant will do; it only has to be the same in every process. */
export const LEASE_LOCK = 7_266_437_002

export interface ServerConnection {
  client: pg.Client
  /** Resolves when the connection is gone, whoever ended it. */
  ended: Promise<void>
}

/**
 * A connection to the maintenance database, or undefined if the server does not take any just now:
 * it is starting, recovering, stopping or gone. Throws if the server is there and turns us away for
 * good.
 */
export async function connectToServer(
  cluster: Cluster,
  port: number,
): Promise<ServerConnection | undefined> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'roundsman',
    password: await readPassword(cluster),
    // Advisory locks belong to one database, so that all leases have to be in the same one.
    database: 'postgres',
    application_name: 'roundsman lease',
    // Given here because PGSSLMODE and the like would be used otherwise.
    ssl: false,
    options: '-c idle_session_timeout=0',
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 10_000,
  })
  // A connection that breaks fails the query in flight; without a listener it would end the process
  // too.
  client.on('error', () => undefined)
  const ended = new Promise<void>((resolve) => client.once('end', () => resolve()))
  try {
    await client.connect()
    return { client, ended }
  } catch (cause) {
    await client.end().catch(() => undefined)
    if (isConnectionLoss(cause)) return undefined
    throw new Error(
      `The PostgreSQL of ${cluster.home} does not let us in: ${(cause as Error).message}. Move that folder ` +
        'away to begin with an empty database, or set DATABASE_URL to a server of your own.',
      { cause },
    )
  }
}

/**
 * Whether the server went away (or is not there yet), in the words of PostgreSQL, of Node and of
 * the driver.
 */
export function isConnectionLoss(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string }
  if (code !== undefined && /^(?:08...|57P0[1-5]|53300)$/.test(code)) return true
  if (code !== undefined && /^(?:ECONN|EPIPE|ETIMEDOUT|EADDRNOTAVAIL)/.test(code)) return true
  return /^(?:Connection terminated|timeout expired|Client (?:has encountered|was closed))/.test(
    message ?? '',
  )
}
