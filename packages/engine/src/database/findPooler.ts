import pg from 'pg'
import { answerInTime, socketOf } from '../database/answerInTime.ts'
import { connectionSettings } from '../database/connectionSettings.ts'
import { endClient } from '../database/endClient.ts'
import { workerLockKey } from '../database/workerLock.ts'

const ANSWER_TIMEOUT_MS = 5_000
/** A busy pooler may lend the same connection twice. */
const TRIES = 3
/** Maximum of a pooler's connections that are tried to release the lock. */
const MAX_GIVE_BACKS = 20

/** A worker's connections use a transaction pooler, so others could not see that it is alive. Nothing was changed. */
export class PoolerError extends Error {
  override readonly name = 'PoolerError'

  constructor(url: string, remedy: string) {
    const { host, port } = addressOf(url)
    super(
      `${host}:${port} is a pooler in transaction mode, which keeps no lock for a worker, so that others could not see that it lives; ${remedy}`,
    )
  }
}

/** @throws PoolerError */
export async function expectSession(url: string): Promise<void> {
  const remedy = await findPooler(url)
  if (remedy !== null) throw new PoolerError(url, remedy)
}

/**
 * Null if connections are sessions; otherwise the address that a worker needs. The proof is a lock that a connection has taken
 * and does not hold at its next statement. In between, another connection begins a transaction: a pooler lends it the
 * connection that was free last.
 */
export async function findPooler(url: string): Promise<string | null> {
  const [holder, other] = [open(url), open(url)]
  const key = `probe ${crypto.randomUUID()}`
  let pid: number | undefined
  const giveBack = async (client: pg.Client) =>
    (await ask<{ isHeld: boolean }>(client, GIVE_BACK_SQL, [key, pid]))?.isHeld === true
  try {
    await holder.connect()
    await other.connect()
    for (let tries = 0; tries < TRIES; tries++) {
      const taken = await ask<Server & { pid: number }>(holder, TAKE_SQL, [key])
      pid = taken?.pid
      await ask(other, 'begin')
      const isLent = await giveBack(other)
      const isKept = !isLent && (await giveBack(holder))
      await ask(other, 'rollback')
      if (isKept) continue
      for (let n = 0; !isLent && n < MAX_GIVE_BACKS && !(await giveBack(holder)); n++);
      return describeDirect(url, taken)
    }
    return null
  } finally {
    await Promise.all([holder, other].map((client) => endClient(client, socketOf(client))))
  }
}

/**
 * The address that a worker needs instead, by the provider's host names or PgBouncer's usual port. Null if neither indicates a
 * pooler. The addresses have no password.
 */
export function knownPooler(url: string): string | null {
  const address = addressOf(url)
  const pgBouncer = address.port === 6432 ? describePgBouncer({ ...address, port: 5432 }) : null
  return ofProvider(address) ?? pgBouncer
}

interface Address {
  host: string
  port: number
  user: string
  database: string
}

function addressOf(url: string): Address {
  const { host, port, user = '', database = '' } = new pg.Client({ connectionString: url })
  return { host, port, user, database }
}

function ofProvider(address: Address): string | null {
  const { host, port } = address
  if (/-pooler\.[^/]*\.neon\.tech$/.test(host))
    return `use Neon's direct address, ${toUrl({ ...address, host: host.replace('-pooler.', '.') })}`
  if (/\.supabase\.(?:com|co)$/.test(host) && port === 6543)
    return `use Supabase's session mode, ${toUrl({ ...address, port: 5432 })}`
  return null
}

interface Server {
  host: string | null
  port: number | null
}

function describeDirect(url: string, taken: Server | undefined): string {
  const address = addressOf(url)
  const server = { ...address, host: taken?.host ?? address.host, port: taken?.port ?? 5432 }
  return ofProvider(address) ?? describePgBouncer(server)
}

const describePgBouncer = (server: Address) =>
  `use PostgreSQL's own address, such as ${toUrl(server)}, or a pooler's session mode (in PgBouncer pool_mode = session)`

function toUrl({ host, port, user, database }: Address): string {
  const name = host.includes(':') ? `[${host}]` : host
  return `postgresql://${encodeURIComponent(user)}@${name}${port === 5432 ? '' : `:${port}`}/${encodeURIComponent(database)}`
}

const TAKE_SQL = `
  select pg_backend_pid() as "pid", host(inet_server_addr()) as "host", inet_server_port() as "port",
         pg_advisory_lock(${workerLockKey('$1')})`

/** Releases the lock if the process `$2` answers, and returns whether it did. */
const GIVE_BACK_SQL = `
  select case when pg_backend_pid() = $2 then pg_advisory_unlock(${workerLockKey('$1')}) else false end as "isHeld"`

function open(url: string): pg.Client {
  const client = new pg.Client({
    ...connectionSettings(url),
    application_name: 'roundsman pooler',
  })
  client.on('error', () => undefined)
  return client
}

async function ask<Row extends pg.QueryResultRow>(
  client: pg.Client,
  text: string,
  values?: unknown[],
): Promise<Row | undefined> {
  const answer = client.query<Row>(text, values)
  const inTime = { timeoutMs: ANSWER_TIMEOUT_MS, socket: socketOf(client) }
  return (await answerInTime(answer, inTime)).rows[0]
}
