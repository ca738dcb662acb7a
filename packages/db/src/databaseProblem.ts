import pg from 'pg'
import {
  connectionProblem,
  connectionSettings,
  readAskedSettings,
} from '@roundsman/engine/internal'

const OLDEST_VERSION = 15
const STATEMENT_TIMEOUT_MS = 30_000

/**
 * Connects once and says why a database can't be used, with the remedy, or null when it can. The text never contains the
 * password.
 */
export async function databaseProblem(url: string): Promise<string | null> {
  return (await examineDatabase(url)).problem
}

export interface ExaminedDatabase {
  problem: string | null
  /** SQL that gives its connections the settings they ask for, where a pooler ignores what they ask. Mostly empty. */
  remedies: string[]
}

/** Like databaseProblem, and also returns the remedies for what works, but worse than it could. */
export async function examineDatabase(url: string): Promise<ExaminedDatabase> {
  const remedies: string[] = []
  const problem = await findProblem(url, remedies)
  return { problem, remedies: problem === null ? remedies : [] }
}

async function findProblem(url: string, remedies: string[]): Promise<string | null> {
  let client: pg.Client
  try {
    client = new pg.Client({
      ...connectionSettings(url),
      statement_timeout: STATEMENT_TIMEOUT_MS,
    })
  } catch (error) {
    return `DATABASE_URL: cannot be used (${(error as Error).message}); correct it`
  }
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<Facts>(FACTS_SQL)
    const { version = 0, zone = '', isUtc = false, user = '', settings = {} } = rows[0] ?? {}
    if (version < OLDEST_VERSION)
      return `DATABASE_URL: the server is PostgreSQL ${version}; use ${OLDEST_VERSION} or newer`
    if (!isUtc)
      return `DATABASE_URL: a pooler keeps the connection in the time zone ${zone}, so that all instants would be read hours off; set it for good with alter role ${user} set timezone = 'UTC', and have the pooler connect anew`
    const { DateStyle: dateStyle = '' } = settings
    if (!dateStyle.startsWith('ISO'))
      return `DATABASE_URL: a pooler keeps the connection in the date style ${dateStyle}, so that days and months would be mistaken; set it for good with alter role ${user} set datestyle = 'ISO, MDY', and have the pooler connect anew`
    const asked = readAskedSettings(url)
    for (const [name, value] of Object.entries(asked)) {
      const actual = settings[name]
      if (actual !== undefined && !isAsGood(name, actual, value))
        remedies.push(`alter role ${user} set ${name} = '${value}'`)
    }
    return null
  } catch (error) {
    return `DATABASE_URL: ${explain(error as NodeJS.ErrnoException, url, client)}`
  } finally {
    await client.end().catch(() => undefined)
  }
}

interface Facts {
  version: number
  zone: string
  isUtc: boolean
  /** In quotation marks where SQL needs them. */
  user: string
  /** Each in its own unit. */
  settings: Record<string, string>
}

/** Some values serve as well as the one asked for. */
function isAsGood(name: string, actual: string, asked: string): boolean {
  switch (name) {
    case 'extra_float_digits':
      return Number(actual) >= Number(asked)
    case 'idle_in_transaction_session_timeout':
      return actual !== '0'
    default:
      return actual === asked
  }
}

const FACTS_SQL = `
  select current_setting('server_version_num')::int / 10000 as "version",
         current_setting('TimeZone') as "zone", quote_ident(current_user) as "user",
         extract(timezone from timestamptz '2026-01-01') = 0
           and extract(timezone from timestamptz '2026-07-01') = 0 as "isUtc",
         (select jsonb_object_agg(name, setting) from pg_settings where context in ('user', 'superuser')) as "settings"`

function explain(error: NodeJS.ErrnoException, url: string, { host, port }: pg.Client): string {
  const server = `${host}:${port}`
  if (error.code === 'ECONNREFUSED')
    return `nothing listens at ${server}; start the database, correct the address, or leave it out for the embedded one`
  return (
    connectionProblem(error, url) ??
    `${server} can't be reached (${error.message || error.code}); see that it runs and that this machine may connect`
  )
}
