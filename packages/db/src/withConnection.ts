import pg from 'pg'
import { connectionSettings } from '@roundsman/engine/internal'

export interface ConnectionOptions {
  url: string
  /** Shown in pg_stat_activity, so that an operator can tell who holds the connection. */
  applicationName: string
  /** Default 5,000 ms. */
  connectTimeoutMs?: number
}

/** Does some work on one plain connection: for a statement or two, loading the Prisma client would take longer. */
export async function withConnection<Result>(
  { url, applicationName, connectTimeoutMs = 5_000 }: ConnectionOptions,
  work: (connection: pg.Client) => Promise<Result>,
): Promise<Result> {
  const connection = new pg.Client({
    ...connectionSettings(url),
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
  })
  // A connection that breaks fails its query. Without a listener, its error would also end the process.
  connection.on('error', () => undefined)
  await connection.connect()
  try {
    return await work(connection)
  } finally {
    await connection.end().catch(() => undefined)
  }
}
