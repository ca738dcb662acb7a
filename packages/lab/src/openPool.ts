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
  /** A statement that runs longer is cancelled; null: none is. Default 30,000 ms. */
  statementTimeoutMs?: number | null
}

/** What drivers and judges look with: a pool that has nothing in common with the one that is put to the test. */
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
  // Servers are killed here: a connection that breaks fails the query in flight, and must not end the process too.
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
