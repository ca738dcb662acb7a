import pg from 'pg'

export interface Queryable {
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ rows: Row[]; rowCount: number | null }>
}

export interface Pool extends Queryable {
  transaction<Value>(work: (tx: Queryable) => Promise<Value>): Promise<Value>
  close(): Promise<void>
}

export interface PoolOptions {
  url: string
  applicationName: string
  /** Connections at most. Default 10. */
  poolSize?: number
  /** The server cancels a statement that runs longer. Null: never. Default 30,000 ms. */
  statementTimeoutMs?: number | null
}

/** For drivers and judges of a test: a pool that shares nothing with the code under test. */
export function openPool(options: PoolOptions): Pool {
  const { url, applicationName, poolSize = 10, statementTimeoutMs = 30_000 } = options
  const pool = new pg.Pool({
    connectionString: url,
    application_name: applicationName,
    max: poolSize,
    connectionTimeoutMillis: 5_000,
    ...(statementTimeoutMs !== null && {
      statement_timeout: statementTimeoutMs,
      query_timeout: statementTimeoutMs + 5_000,
    }),
  })
  // Servers are killed here: a broken connection fails its query, and must not also end the process.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  return {
    query: (text, values) => pool.query(text, values && [...values]),
    async transaction(work) {
      const client = await pool.connect()
      const tx: Queryable = { query: (text, values) => client.query(text, values && [...values]) }
      try {
        await client.query('begin')
        const value = await work(tx)
        await client.query('commit')
        client.release()
        return value
      } catch (error) {
        client.release(true)
        throw error
      }
    },
    close: () => pool.end(),
  }
}
