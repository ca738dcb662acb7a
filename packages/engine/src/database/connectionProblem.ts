import pg from 'pg'
import { isConnectionLoss } from './isConnectionLoss.ts'
import { INSUFFICIENT_PRIVILEGE, READ_ONLY } from './sqlState.ts'

/** The server and the database to which a URL leads, as the driver reads it. */
export function readAddress(url: string): { host: string; port: number; database: string } {
  const { host, port, database = '' } = new pg.Client({ connectionString: url })
  return { host, port, database }
}

/**
 * Says in one line why a database cannot be connected to or used, and what to do: with the host, the port, and the role or the
 * database, and never with the password. Null for an error of another kind.
 */
export function connectionProblem(error: unknown, url: string): string | null {
  if (!(error instanceof Error)) return null
  const { host, port, database, user } = new pg.Client({ connectionString: url })
  const server = `${host}:${port}`
  const { code, message } = error as NodeJS.ErrnoException
  switch (code) {
    case 'ECONNREFUSED':
      return `nothing listens at ${server}; start the database, or correct the address`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host ${host} is not known; correct it`
    case '28P01':
    case '28000':
      return `${server} refuses the role ${user} or its password (${message}); correct them`
    case '3D000':
      return `there is no database "${database}" at ${server}; create it, or correct the name`
    case INSUFFICIENT_PRIVILEGE:
      return `the role ${user} lacks a right in the database "${database}" at ${server} (${message}); grant it, or connect as another role`
    case READ_ONLY:
      return `the database "${database}" at ${server} refuses writes (read-only); connect to the primary, or switch default_transaction_read_only off`
    case '53300':
      return `${server} has no connection left; raise its max_connections, or stop what holds them`
    case '57P03':
      return `${server} is starting up or shutting down; try again in a moment`
    case '08P01':
      return `${server} refuses how connections begin (${message}); in PgBouncer set ignore_startup_parameters = extra_float_digits, options, statement_timeout, idle_in_transaction_session_timeout`
    default:
      return isConnectionLoss(error)
        ? `${server} can't be reached (${message || code}); see that it runs and that this machine may connect`
        : null
  }
}
