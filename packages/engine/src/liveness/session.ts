import { Socket } from 'node:net'
import pg from 'pg'
import type { Logger } from '../job/logger.ts'
import { answerInTime } from '../store/answerInTime.ts'
import { socketOf, type Connection, type Result } from '../store/database.ts'
import { connectionSettings, LIFT_TRANSACTION_TIMEOUT_SQL } from '../store/connectionSettings.ts'
import { endClient } from '../store/endClient.ts'
import { isSession } from './isSession.ts'
import { createListener } from './listener.ts'
import { settlesWithin } from '../store/settlesWithin.ts'
import { HEARTBEAT_TIMEOUT_MS, IS_WORKER_LOCK, isBeatingSql, workerLockKey } from './whoIsLost.ts'

export interface Session {
  start(): Promise<void>
  /** Signs off and ends the connection, also one that does not answer. */
  stop(): Promise<void>
  /** Whether what is set on a connection stays with it; not so behind a transaction pooler. Known once started. */
  isLasting(): boolean
  /** For how long others could tell that this worker lives, or null while they can't. */
  connectedForMs(): number | null
  /**
   * The database has said, to a question of `askedAt` (performance.now), that nobody can see this worker live. Where the
   * session believes otherwise, it is connected to the wrong server, or was robbed of its lock: it connects anew.
   */
  doubt(askedAt: number): void
  /**
   * For what is asked every second, with BEAT_SQL in it: a statement that comes through spares the session a
   * beat, and one that does not tells that the connection is lost.
   */
  query<Row extends pg.QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<Result<Row>>
  /** Calls back on every notification, and after every reconnect, when some may have been missed. */
  listen(
    channel: string,
    onNotification: (payload: string) => void,
    onReconnect: () => void,
  ): Promise<void>
}

export interface SessionOptions {
  url: string
  /** For what needs no session. */
  database: Connection
  workerId: string
  /** What of the host's product it runs. Default: it does not say. */
  version?: string | null
  /** How many runs of each job it takes at once, for others to know; of jobs that are not in it, none. Default: none. */
  lanes?: Readonly<Record<string, number>>
  /** How long an answer may take. Default 10,000 ms. */
  answerTimeoutMs?: number
  /**
   * After how long the server lets the lock go of a worker whose machine has vanished from the network.
   * Default 15,000 ms.
   */
  vanishedAfterMs?: number
  log: Logger
}

const HEARTBEAT_MS = 5_000

/**
 * Gives the sign of life of worker `$1`, when it is time again. It makes nobody alive who lives by their heartbeat and
 * was taken for dead: the session does, which then knows of it.
 */
export const BEAT_SQL = `
  update "JobWorker" worker set "heartbeatAt" = statement_timestamp()
  where "id" = $1 and "heartbeatAt" < statement_timestamp() - interval '${HEARTBEAT_MS} milliseconds'
    and ("liveness" = 'lock' or ${isBeatingSql('worker')})`

/** Whether worker `$1` has lived up to now by its heartbeat, which it gives. Its row may have been removed. */
const HEARTBEAT_SQL = `
  with before as (
    select ${isBeatingSql('worker')} as "isBeating" from "JobWorker" worker where "id" = $1
  ), beat as (
    insert into "JobWorker" ("id", "liveness", "startedAt", "readsStarts", "version", "lanes")
    values ($1, 'heartbeat', $2, true, $3, $4::jsonb)
    on conflict ("id") do update set "heartbeatAt" = statement_timestamp()
  )
  select coalesce((select "isBeating" from before), false) as "wasAlive"`

const SIGN_UP_SQL = `
  insert into "JobWorker" ("id", "liveness", "startedAt", "readsStarts", "version", "lanes")
  values ($1, $2::"WorkerLiveness", $3, true, $4, $5::jsonb)
  on conflict ("id") do update set "heartbeatAt" = statement_timestamp()`
const SIGN_OFF_SQL = 'delete from "JobWorker" where "id" = $1'

/** Well below the grace of the rescue: a worker that waits longer would be taken for dead. */
const RECONNECT_MAX_MS = 500
/** How long a connection may take to end in good order, or to sign off. One that lost its other end never would. */
const FAREWELL_MS = 1_000

/** The lock that a living worker holds. `$1` is its id; the rescue looks for the same key. */
const LOCK_SQL = `select pg_advisory_lock(${workerLockKey('$1')})`

/**
 * Ends the connection that still holds the lock of a worker which has lost its end of it. `$2` is the
 * connection that is to have the lock.
 */
const TAKE_OVER_SQL = `
  select pg_terminate_backend(lock.pid)
  from pg_locks lock, ${workerLockKey('$1')} as key
  where ${IS_WORKER_LOCK} and lock.pid <> $2`

interface Link {
  client: pg.Client
  /** Ours to destroy when the other end answers no more. */
  socket: Socket
}

/**
 * How others know that a worker lives: one connection that it keeps for as long as it does. It holds the
 * advisory lock named after the worker, which PostgreSQL lets go the moment the process dies, however it
 * dies; a process that is busy or blocked keeps it. It is sent nothing but answers: another connection listens, so that
 * work starts when it arrives.
 *
 * Behind a transaction pooler a connection is not a session. There, the worker beats instead, work is
 * found by looking once a second, and a worker whose event loop is blocked for HEARTBEAT_TIMEOUT_MS is
 * taken for dead.
 */
export function createSession({
  url,
  database,
  workerId,
  version = null,
  lanes = {},
  answerTimeoutMs = 10_000,
  vanishedAfterMs = 15_000,
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
  const startedAt = new Date()
  const lanesText = JSON.stringify(lanes)
  let link: Link | null = null
  let opening: Link | null = null
  // By the monotonic clock: the other one may jump.
  let connectedSince: number | null = null
  /** Without a session: when the last heartbeat was on its way that came through. */
  let lastBeatAt = 0
  let isLasting = false
  let isSignedUp = false
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let beating: Promise<void> = Promise.resolve()
  let failures = 0

  async function start(): Promise<void> {
    const hasSession = await connect({ probe: true })
    await database.query(
      `delete from "JobWorker" where "heartbeatAt" < statement_timestamp() - interval '1 day'`,
    )
    if (hasSession) return
    log.warn(
      `connections to this database are not sessions, as behind a transaction pooler: beating every ${HEARTBEAT_MS} ms instead of holding a lock`,
    )
    lastBeatAt = performance.now()
    isSignedUp = true
    await database.query(SIGN_UP_SQL, [workerId, 'heartbeat', startedAt, version, lanesText])
    connectedSince = performance.now()
    scheduleBeat()
  }

  /** False when there was a connection, but no session behind it. */
  async function connect({ probe = false } = {}): Promise<boolean> {
    const socket = new Socket()
    const client = new pg.Client({
      ...connectionSettings(url, { vanishedAfterMs }),
      application_name: `roundsman ${workerId}`,
      stream: () => socket,
    })
    const next: Link = { client, socket }
    opening = next
    // Later failures come through here; those of connect() and query() through their promises as well.
    client.on('error', (error) => lose(next, error))
    client.on('end', () => lose(next, new Error('the connection ended')))
    try {
      await client.connect()
      if (probe && !(await isSession(client, database))) {
        await discard(next)
        return false
      }
      await ask(client, LIFT_TRANSACTION_TIMEOUT_SQL)
      await takeLock(client)
      isSignedUp = true
      await ask(client, SIGN_UP_SQL, [workerId, 'lock', startedAt, version, lanesText])
    } catch (error) {
      await discard(next)
      throw error
    }
    opening = null
    if (stopped) {
      await discard(next)
      return true
    }
    isLasting = true
    link = next
    connectedSince = performance.now()
    failures = 0
    scheduleBeat()
    return true
  }

  /** In line for it before it is let go: nobody finds it free in between. */
  async function takeLock(client: pg.Client): Promise<void> {
    const { rows } = await ask<{ pid: number }>(client, 'select pg_backend_pid() as "pid"')
    await Promise.all([
      ask(client, LOCK_SQL, [workerId]),
      database.query(TAKE_OVER_SQL, [workerId, rows[0]?.pid]),
    ])
  }

  function lose(lost: Link, error: Error): void {
    if (link !== lost) return
    link = null
    connectedSince = null
    clearTimeout(timer)
    void discard(lost)
    if (stopped) return
    log.warn({ err: error }, 'session lost, reconnecting')
    scheduleReconnect()
  }

  function scheduleReconnect(): void {
    timer = setTimeout(() => void reconnect(), Math.min(100 * 2 ** failures++, RECONNECT_MAX_MS))
  }

  async function reconnect(): Promise<void> {
    try {
      await connect()
    } catch (error) {
      log.warn({ err: error }, 'reconnecting the session failed')
      if (!stopped) scheduleReconnect()
      return
    }
    if (stopped) return
    log.info('session restored')
    for (const onReconnect of reconnects) onReconnect()
  }

  function scheduleBeat(): void {
    timer = setTimeout(() => {
      beating = link === null ? beat() : beatOn(link)
    }, HEARTBEAT_MS)
  }

  /** It also tells whether the connection still works. */
  async function beatOn(current: Link): Promise<void> {
    try {
      await ask(current.client, SIGN_UP_SQL, [workerId, 'lock', startedAt, version, lanesText])
    } catch (error) {
      lose(current, error as Error)
    }
    if (link === current && !stopped) scheduleBeat()
  }

  /** Where there is no session. After a day of silence others have removed the row: then it signs up anew. */
  async function beat(): Promise<void> {
    try {
      const sentAt = performance.now()
      const { rows } = await database.query<{ wasAlive: boolean }>(HEARTBEAT_SQL, [
        workerId,
        startedAt,
        version,
        lanesText,
      ])
      lastBeatAt = sentAt
      if (connectedSince === null || !rows[0]?.wasAlive) {
        connectedSince = performance.now()
        for (const onReconnect of reconnects) onReconnect()
      }
    } catch (error) {
      connectedSince = null
      log.warn({ err: error }, 'heartbeat failed, trying again')
    }
    if (!stopped) scheduleBeat()
  }

  async function ask<Row extends pg.QueryResultRow>(
    client: pg.Client,
    text: string,
    values?: readonly unknown[],
  ): Promise<Result<Row>> {
    const answer = client.query<Row>(database.schema.sql(text), values as unknown[])
    return await answerInTime(answer, { timeoutMs: answerTimeoutMs, socket: socketOf(client) })
  }

  /** On the session as well, after what may be under way there. */
  async function signOff(open: Link | null): Promise<void> {
    try {
      if (open) await ask(open.client, SIGN_OFF_SQL, [workerId])
      else await beating.then(() => database.query(SIGN_OFF_SQL, [workerId]))
    } catch (error) {
      log.warn({ err: error }, 'the worker could not be signed off')
    }
  }

  async function query<Row extends pg.QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<Result<Row>> {
    const current = link
    if (current === null) return await database.query<Row>(text, values)
    try {
      const result = await ask<Row>(current.client, text, values)
      if (link === current) {
        clearTimeout(timer)
        scheduleBeat()
      }
      return result
    } catch (error) {
      // What the server says has come through; without an answer the connection is good for nothing.
      if (!(error instanceof pg.DatabaseError)) lose(current, error as Error)
      throw error
    }
  }

  return {
    start,
    query,
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
    isLasting: () => isLasting,
    connectedForMs() {
      if (connectedSince === null) return null
      const now = performance.now()
      if (!isLasting && now - lastBeatAt > HEARTBEAT_TIMEOUT_MS) return null
      return now - connectedSince
    },
    doubt(askedAt) {
      if (link === null || connectedSince === null || connectedSince >= askedAt) return
      lose(link, new Error('the database says that nobody holds the lock of this worker'))
    },
    async listen(channel, onNotification, onReconnect) {
      reconnects.push(onReconnect)
      if (!isLasting) return
      await listener.listen(database.schema.channel(channel), onNotification, onReconnect)
    },
  }
}

async function discard({ client, socket }: Link): Promise<void> {
  await endClient(client, socket)
}
