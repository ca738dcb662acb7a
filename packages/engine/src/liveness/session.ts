import { Socket } from 'node:net'
import pg from 'pg'
import type { Logger } from '../job/logger.ts'
import { answerInTime, socketOf } from '../database/answerInTime.ts'
import {
  KEEP_TO_INDEXES,
  toSettings,
  type Connection,
  type PreparedStatement,
  type Result,
} from '../database/database.ts'
import { connectionSettings, LIFT_TRANSACTION_TIMEOUT_SQL } from '../database/connectionSettings.ts'
import { endClient } from '../database/endClient.ts'
import { createListener } from '../database/listener.ts'
import { settlesWithin } from '../database/settlesWithin.ts'
import {
  hasSqlState,
  INSUFFICIENT_PRIVILEGE,
  LOCK_NOT_AVAILABLE,
  QUERY_CANCELED,
} from '../database/sqlState.ts'
import { IS_WORKER_LOCK, workerLockKey } from '../database/workerLock.ts'
import { LAST_SIGN_OFF } from '../queue/lostClaims.ts'

/*
 * A session is in one of these states.
 *
 *   starting      start() connects: connected. An error rejects start(), and createWorker stops the session.
 *   connected     The connection holds the worker's lock. It becomes reconnecting when the connection ends, when a beat
 *                 fails, when a query has no answer, or when doubt() reports that others do not see the lock.
 *   reconnecting  It tries again after 100 to 500 ms, until connect() has the lock: connected; listeners are called back.
 *                 Where it may not end the connection that holds the lock, others see that the worker lives: rounds go on.
 *   stopped       stop() ends every other state, removes the worker's row and closes the connection. Nothing leaves it.
 */

export interface Session {
  start(): Promise<void>
  /** Removes the worker's row and ends the connection, also one that does not answer. */
  stop(): Promise<void>
  /** For how long others have been able to see that this worker lives. Null while they cannot. */
  connectedForMs(): number | null
  /**
   * The database answered a question asked at `askedAt` (performance.now) that this worker does not live. A session that
   * was connected by then is on the wrong server, or has lost its lock: it connects again.
   */
  doubt(askedAt: number): void
  /**
   * Runs the round's statement, which contains beatSql(): one that comes through postpones the session's own beat, and one
   * that does not shows that the connection is lost.
   */
  query<Row extends pg.QueryResultRow>(
    statement: string | PreparedStatement,
    values?: readonly unknown[],
  ): Promise<Result<Row>>
  /** Puts the worker into the list of workers again, after its row was removed. */
  signUp(): Promise<void>
  /** Calls back on every notification, and after every reconnect, when some may have been missed. */
  listen(
    channel: string,
    onNotification: (payload: string) => void,
    onReconnect: () => void,
  ): Promise<void>
}

export interface SessionOptions {
  url: string
  /** Runs the statements that need no session. */
  database: Connection
  workerId: string
  /** The version of the host's product that this worker runs. Default: unknown. */
  version?: string | null
  /** How many runs of each job this worker takes at once, for others to read. A job that is missing has none. Default: {}. */
  lanes?: Readonly<Record<string, number>>
  /** The jobs of its definitions. Default: none. */
  jobs?: readonly string[]
  /** How long an answer may take. Default 10,000 ms. */
  answerTimeoutMs?: number
  /**
   * After how long the server releases the lock of a worker whose machine has vanished from the network.
   * Default 15,000 ms.
   */
  vanishedAfterMs?: number
  /** Called when it was lost: other connections of this process may be, too, without a word. Default: nothing. */
  onLost?: () => void
  log: Logger
}

const HEARTBEAT_MS = 5_000
/**
 * Far shorter than an answer may take: a lock of another session must not look like a lost connection. And shorter than the
 * second after which PostgreSQL looks for a deadlock.
 */
const LOCK_TIMEOUT_MS = 800
/** Shorter than an answer may take: a statement that is slow must not look like a lost connection either. */
const STATEMENT_TIMEOUT_MS = 8_000

/** The row of a worker, unless it is locked: a beat that waits would delay the round. */
const freeRow = (workerId: string) =>
  `select "id" from "JobWorker" where "id" = ${workerId} for no key update skip locked`

/** Writes the heartbeat of a worker when the last one is 5 s old. */
export const beatSql = (workerId: string) => `
  update "JobWorker" set "heartbeatAt" = statement_timestamp()
  where "id" in (${freeRow(workerId)}) and "heartbeatAt" < statement_timestamp() - interval '${HEARTBEAT_MS} milliseconds'`

const SIGN_UP_SQL = `
  with beat as (
    update "JobWorker" set "heartbeatAt" = statement_timestamp() where "id" in (${freeRow('$1')})
  )
  insert into "JobWorker" ("id", "startedAt", "version", "lanes", "jobs")
  values ($1, $2, $3, $4::jsonb, $5::text[])
  on conflict ("id") do nothing`
/** The list of workers leads the rescue to claims: a worker that holds any stays on it. */
const holdsNothing = (worker: string) =>
  `not exists (select from "JobClaim" claim where claim."workerId" = ${worker})`

/** Keeps the versions of the workers in `gone`, as long as their runs are kept: the version of a run is found by its worker. */
const keepVersions = (endedAt: string) => `
  insert into "JobFormerWorker" ("id", "version", "startedAt", "endedAt")
  select "id", "version", "startedAt", ${endedAt} from gone where "version" is not null
  on conflict ("id") do update set "endedAt" = excluded."endedAt"`

/**
 * Removes rows of workers that are long gone, except locked ones.
 * Race: packages/engine/test/liveness/session.test.ts "signs up anew when others have removed its row"
 */
const CLEAN_UP_SQL = `
  with gone as (
    delete from "JobWorker" where "id" = any(array(
      select "id" from "JobWorker" worker
      where "heartbeatAt" < statement_timestamp() - interval '1 day' and ${holdsNothing('worker."id"')} for update skip locked
    ))
    returning "id", "version", "startedAt", "heartbeatAt"
  )
  ${keepVersions('"heartbeatAt"')}`

/**
 * Where no worker lives, the last instant at which one did has to be on record.
 * Race: packages/engine/test/liveness/endStaleClaims.test.ts "has its runs rescued when it is gone, and keeps them while it lives"
 */
const SIGN_OFF_SQL = `
  with gone as (
    delete from "JobWorker" where "id" = $1 and ${holdsNothing('$1')} returning "id", "version", "startedAt"
  ), kept as (
    ${keepVersions('statement_timestamp()')}
  )
  insert into "JobThrottle" ("name", "freeAt") select '${LAST_SIGN_OFF}', statement_timestamp() from gone
  on conflict ("name") do update set "freeAt" = greatest("JobThrottle"."freeAt", excluded."freeAt")`

/** Well below RESCUE_GRACE_MS: others would take a worker that waits longer for dead. */
const RECONNECT_MAX_MS = 500
/** How long signing off may take. A connection that lost its other end would never answer. */
const FAREWELL_MS = 1_000

/** Takes the lock of worker `$1`; the rescue looks for the same key. */
const LOCK_SQL = `select pg_advisory_lock(${workerLockKey('$1')})`

/**
 * Ends the old connection that still holds the lock of worker `$1`. `$2` is the backend of the connection that waits for
 * the lock. Where our statements run as another role (`alter role … set role`), that one may not end what the login role
 * opened; PostgreSQL returns to the login role before it reads rows, and only for this statement.
 */
const TAKE_OVER_SQL = `
  select pg_terminate_backend(lock.pid)
  from pg_locks lock, ${workerLockKey('$1')} as key
  where (select set_config('role', 'none', true)) is not null and ${IS_WORKER_LOCK} and lock.pid <> $2`

interface Link {
  client: pg.Client
  /** We destroy it when the other end does not answer. */
  socket: Socket
}

/**
 * Shows others that this worker lives, by one connection that holds the advisory lock named after the worker. PostgreSQL
 * releases the lock the moment the process dies, however it dies; a busy or blocked process keeps it. Notifications come
 * over another connection (listener.ts), so that a blocked process never fills this one.
 */
export function createSession({
  url,
  database,
  workerId,
  version = null,
  lanes = {},
  jobs = [],
  answerTimeoutMs = 10_000,
  vanishedAfterMs = 15_000,
  onLost = () => undefined,
  log,
}: SessionOptions): Session {
  const listener = createListener({
    url,
    applicationName: `roundsman ${workerId} listening`,
    answerTimeoutMs,
    vanishedAfterMs,
    log,
  })
  const reconnects: (() => void)[] = []
  let startedAt = new Date()
  const lanesText = JSON.stringify(lanes)
  let link: Link | null = null
  let opening: Link | null = null
  // By performance.now(): the wall clock may jump.
  let connectedSince: number | null = null
  let isSignedUp = false
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let failures = 0
  /** The old connection still holds the lock, and the database refuses to end it. */
  let isTakeOverRefused = false
  let hasToldRefusal = false

  async function start(): Promise<void> {
    await database.query(CLEAN_UP_SQL)
    const { rows } = await database.query<{ now: Date }>('select clock_timestamp() as "now"')
    // One clock orders the versions: the last to appear defines schedules.
    startedAt = rows[0]?.now ?? startedAt
    await connect()
  }

  async function connect(): Promise<void> {
    const socket = new Socket()
    const client = new pg.Client({
      ...connectionSettings(url, { vanishedAfterMs }),
      application_name: `roundsman ${workerId}`,
      stream: () => socket,
    })
    const next: Link = { client, socket }
    opening = next
    // Failures of connect() and query() also reject their promises; all later ones come only through here.
    client.on('error', (error) => lose(next, error))
    client.on('end', () => lose(next, new Error('the connection ended')))
    try {
      await client.connect()
      await ask(client, LIFT_TRANSACTION_TIMEOUT_SQL)
      const settings = {
        lock_timeout: LOCK_TIMEOUT_MS,
        statement_timeout: STATEMENT_TIMEOUT_MS,
        ...KEEP_TO_INDEXES,
      }
      await ask(
        client,
        toSettings(settings)
          .map((one) => `set ${one}`)
          .join('; '),
      )
      await takeLock(client)
      isSignedUp = true
      await signUpOn(client).catch((error: unknown) => {
        // Others see by its lock that it lives. A round or a beat signs it up once the table is free.
        if (!hasSqlState(error, LOCK_NOT_AVAILABLE)) throw error
      })
    } catch (error) {
      await discard(next)
      throw error
    }
    opening = null
    if (stopped) return await discard(next)
    link = next
    connectedSince = performance.now()
    failures = 0
    scheduleBeat()
  }

  /** Queues for the lock before it ends the old holder: no other worker finds the lock free in between. */
  async function takeLock(client: pg.Client): Promise<void> {
    const { rows } = await ask<{ pid: number }>(client, 'select pg_backend_pid() as "pid"')
    isTakeOverRefused = false
    await Promise.all([ask(client, LOCK_SQL, [workerId]), endOldHolder(rows[0]?.pid)])
  }

  async function endOldHolder(pid: number | undefined): Promise<void> {
    try {
      await database.query(TAKE_OVER_SQL, [workerId, pid])
    } catch (error) {
      if (!hasSqlState(error, INSUFFICIENT_PRIVILEGE)) throw error
      isTakeOverRefused = true
      connectedSince ??= performance.now()
      if (hasToldRefusal) return
      hasToldRefusal = true
      log.warn(
        { err: error },
        'the worker may not end its lost connection, and waits until the server does: let its role call pg_terminate_backend, and grant it pg_signal_backend',
      )
    }
  }

  async function signUpOn(client: pg.Client): Promise<void> {
    await ask(client, SIGN_UP_SQL, [workerId, startedAt, version, lanesText, jobs])
  }

  function lose(lost: Link, error: Error): void {
    if (link !== lost) return
    link = null
    connectedSince = null
    clearTimeout(timer)
    void discard(lost)
    if (stopped) return
    log.warn({ err: error }, 'session lost, reconnecting')
    listener.doubt()
    onLost()
    scheduleReconnect()
  }

  function scheduleReconnect(): void {
    timer = setTimeout(() => void reconnect(), Math.min(100 * 2 ** failures++, RECONNECT_MAX_MS))
  }

  async function reconnect(): Promise<void> {
    try {
      await connect()
    } catch (error) {
      if (!isTakeOverRefused || !hasSqlState(error, LOCK_NOT_AVAILABLE)) {
        connectedSince = null
        log.warn({ err: error }, 'reconnecting the session failed')
      }
      if (!stopped) scheduleReconnect()
      return
    }
    if (stopped) return
    log.info('session restored')
    for (const onReconnect of reconnects) onReconnect()
  }

  function scheduleBeat(): void {
    // A round whose answer came during a beat has scheduled one already.
    clearTimeout(timer)
    timer = setTimeout(() => void (link && beatOn(link)), HEARTBEAT_MS)
  }

  /** Writes a heartbeat, which also shows whether the connection still works. */
  async function beatOn(current: Link): Promise<void> {
    try {
      await signUpOn(current.client)
    } catch (error) {
      // Another session has locked the table, or the database is slow. The connection works.
      if (hasSqlState(error, LOCK_NOT_AVAILABLE) || hasSqlState(error, QUERY_CANCELED))
        log.warn({ err: error }, 'heartbeat failed, trying again')
      else lose(current, error as Error)
    }
    if (link === current && !stopped) scheduleBeat()
  }

  async function ask<Row extends pg.QueryResultRow>(
    client: pg.Client,
    statement: string | PreparedStatement,
    values?: readonly unknown[],
  ): Promise<Result<Row>> {
    const { text, ...name } = typeof statement === 'string' ? { text: statement } : statement
    const asked = { ...name, text: database.schema.sql(text), values: values as unknown[] }
    const answer = client.query<Row>(asked)
    return await answerInTime(answer, { timeoutMs: answerTimeoutMs, socket: socketOf(client) })
  }

  async function signOff(open: Link | null): Promise<void> {
    try {
      if (open) await ask(open.client, SIGN_OFF_SQL, [workerId])
      else await database.query(SIGN_OFF_SQL, [workerId])
    } catch (error) {
      log.warn({ err: error }, 'the worker could not remove itself from the list of workers')
    }
  }

  async function signUp(): Promise<void> {
    if (link !== null) await signUpOn(link.client)
  }

  async function query<Row extends pg.QueryResultRow>(
    statement: string | PreparedStatement,
    values?: readonly unknown[],
  ): Promise<Result<Row>> {
    const current = link
    if (current === null) return await database.query<Row>(statement, values)
    try {
      const result = await ask<Row>(current.client, statement, values)
      if (link === current) scheduleBeat()
      return result
    } catch (error) {
      // A DatabaseError is an answer, so the connection works. Any other error means that it does not.
      if (!(error instanceof pg.DatabaseError)) lose(current, error as Error)
      throw error
    }
  }

  return {
    start,
    query,
    signUp,
    async stop() {
      stopped = true
      clearTimeout(timer)
      opening?.socket.destroy()
      const open = link
      link = null
      connectedSince = null
      if (isSignedUp) await settlesWithin(signOff(open), FAREWELL_MS)
      await Promise.all([open && discard(open), listener.stop()])
    },
    connectedForMs: () => (connectedSince === null ? null : performance.now() - connectedSince),
    doubt(askedAt) {
      if (link === null || connectedSince === null || connectedSince >= askedAt) return
      lose(link, new Error('the database says that nobody holds the lock of this worker'))
    },
    async listen(channel, onNotification, onReconnect) {
      reconnects.push(onReconnect)
      await listener.listen(database.schema.channel(channel), onNotification, onReconnect)
    },
  }
}

async function discard({ client, socket }: Link): Promise<void> {
  await endClient(client, socket)
}
