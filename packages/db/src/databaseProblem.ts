import pg from 'pg'

const OLDEST_VERSION = 15

/**
 * Connects once and says why a database can't be used, with the remedy, or null when it can. The
 * password is never part of it.
 */
export async function databaseProblem(url: string): Promise<string | null> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<{ version: number }>(
      `select current_setting('server_version_num')::int / 10000 as version`,
    )
    const version = rows[0]?.version ?? 0
    if (version >= OLDEST_VERSION) return null
    return `DATABASE_URL: the server is PostgreSQL ${version}; use ${OLDEST_VERSION} or newer`
  } catch (error) {
    return `DATABASE_URL: ${explain(error as NodeJS.ErrnoException, new URL(url))}`
  } finally {
    await client.end().catch(() => undefined)
  }
}

function explain(error: NodeJS.ErrnoException, url: URL): string {
  const server = `${url.hostname}:${url.port || '5432'}`
  const name = decodeURIComponent(url.pathname.slice(1))
  switch (error.code) {
    case 'ECONNREFUSED':
      return `nothing listens at ${server}; start the database, correct the address, or leave it out for the embedded one`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host ${url.hostname} is not known; correct it`
    case '28P01':
    case '28000':
      return `${server} refuses this user or password; correct them`
    case '3D000':
      return `there is no database "${name}" at ${server}; create it, or correct the name`
    case '53300':
      return `${server} has no connection left; raise its max_connections, or stop what holds them`
    case '57P03':
      return `${server} is starting up or shutting down; try again in a moment`
    default:
      return `${server} can't be reached (${error.message || error.code}); see that it runs and that this machine may connect`
  }
}
