import pg from 'pg'
import { readPassword, type Cluster } from './openCluster.ts'

/** Any number will do that is the same in every process. */
export const LEASE_LOCK = 7_266_437_002
/** The connections' name; the id of the process that holds one follows. */
export const LEASE_NAME = 'roundsman lease'

export interface ServerConnection {
  client: pg.Client
  /** Resolves when the connection is gone, for any reason. */
  ended: Promise<void>
}

/**
 * Connects to the maintenance database, or returns undefined when the server takes no connections now: it is starting,
 * recovering, stopping or gone.
 * @throws Error when the server is there and refuses us for good
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
    // An advisory lock belongs to one database, so that all leases must be in the same one.
    database: 'postgres',
    application_name: `${LEASE_NAME} ${process.pid}`,
    // Set here, since the driver would otherwise go by PGSSLMODE and its like.
    ssl: false,
    options: '-c idle_session_timeout=0',
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 10_000,
  })
  // A connection that breaks fails its query. Without a listener, its error would also end the process.
  client.on('error', () => undefined)
  const ended = new Promise<void>((resolve) => client.once('end', () => resolve()))
  try {
    await client.connect()
    return { client, ended }
  } catch (cause) {
    await client.end().catch(() => undefined)
    if (isConnectionLoss(cause)) return undefined
    throw new Error(
      `The PostgreSQL of ${cluster.home} refuses our log-in: ${(cause as Error).message}. Move that folder ` +
        'away to begin with an empty database, or set DATABASE_URL to a server of your own.',
      { cause },
    )
  }
}

/** Whether the error says that the server went away or is not there yet, in the words of PostgreSQL, Node or the driver. */
export function isConnectionLoss(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string }
  if (code !== undefined && /^(?:08...|57P0[1-5]|53300)$/.test(code)) return true
  if (code !== undefined && /^(?:ECONN|EPIPE|ETIMEDOUT|EADDRNOTAVAIL)/.test(code)) return true
  return /^(?:Connection terminated|timeout expired|Client (?:has encountered|was closed))/.test(
    message ?? '',
  )
}
