import pg from 'pg'

/** PostgreSQL refuses to copy one template twice at the same time, so that each copy waits for this lock. */
const COPY_LOCK = 7_266_437_003

const EMPTY = { template: 'template0', copies: 'wal_log' } as const

export async function connectAdmin(adminUrl: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: adminUrl,
    application_name: 'roundsman tests',
    connectionTimeoutMillis: 10_000,
  })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

export async function withAdmin<Result>(
  adminUrl: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = await connectAdmin(adminUrl)
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** The strategies that `create database` has. */
export type CopyStrategy = 'wal_log' | 'file_copy'

/** Returns the URL of the new database. Default: an empty one. */
export async function createDatabase(
  adminUrl: string,
  name: string,
  { template, copies }: { template: string; copies: CopyStrategy } = EMPTY,
): Promise<string> {
  await withAdmin(adminUrl, async (client) => {
    await client.query('select pg_advisory_lock($1)', [COPY_LOCK])
    await client.query(`create database "${name}" template "${template}" strategy ${copies}`)
  })
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  return url.href
}

/** Also drops a database with open connections. Does nothing when it is gone already. */
export async function dropDatabase(adminUrl: string, name: string): Promise<void> {
  await withAdmin(adminUrl, (client) =>
    client.query(`drop database if exists "${name}" with (force)`),
  )
}
