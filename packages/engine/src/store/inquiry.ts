import { Socket } from 'node:net'
import pg from 'pg'
import type { Logger } from '../job/logger.ts'
import { answerInTime, socketOf } from './answerInTime.ts'
import { connectionSettings, LIFT_TRANSACTION_TIMEOUT_SQL } from './connectionSettings.ts'
import { endClient } from './endClient.ts'

/*
 * When a server fails over, or something in between forgets its connections, nobody tells this end. A statement then waits
 * as one does that waits for a lock, and so would each further one on each further connection. So once a statement has been
 * silent for a while, a connection opened for that asks the server whether it is at work on it. If not, the connection is
 * destroyed, and those on which nothing is under way are asked by a Sync, which costs no statement.
 *
 * The question may reach another server, where one address leads to several. A primary that has taken over says that the one
 * before is gone: a system has one. Any other server cannot tell, and the statement is waited for.
 */

/** Finds the connections of a pool that have lost their other end. They are clients of `pg`, whose types hosts need not have. */
export interface Inquiry {
  /**
   * Prepares a new connection; it answers within 5 s, since a pool waits for this without a limit. Returns whether its plans keep
   * to indexes.
   */
  open(client: object): Promise<boolean>
  /** A statement was sent. */
  asked(client: object): void
  /** Its answer or an error came. */
  answered(client: object): void
  /** Another connection was lost without a word: asks those on which nothing is under way. */
  doubt(): void
  stop(): void
}

export interface InquiryOptions {
  url: string
  applicationName: string
  /** How long a statement is silent before the server is asked about it. Default 5,000 ms. */
  askAfterMs?: number | undefined
  log: Pick<Logger, 'warn'>
}

/** How long a connection on which nothing is under way may take to answer. */
const SYNC_TIMEOUT_MS = 2_000
const ANSWER_TIMEOUT_MS = 5_000

/** A connection whose answer is awaited. */
interface Waiting {
  statements: number
  progress: number
  /** By performance.now(). */
  askAt: number
  /** Whether the server was not at work on it when it was last asked: its answer may just have been under way. */
  wasIdle: boolean
}

/** Which server answers a connection. */
interface Place {
  /** When that server started, as PostgreSQL tells it to the microsecond: no two servers of a product have the same. */
  startedAt: string
  /** The object id of the database, which a primary shares with its standbys. */
  databaseId: string
  isPrimary: boolean
}

const PLACE_SQL = `
  extract(epoch from pg_postmaster_start_time())::text as "startedAt", not pg_is_in_recovery() as "isPrimary",
  (select oid::text from pg_database where datname = current_database()) as "databaseId"`

/** What a server says of processes: the state of each that it has. */
interface Answer extends Place {
  states: Readonly<Record<string, string>>
}

/** What a server can tell about a process of the server at `place`, or null when it cannot. */
function stateOf({ pid, ...place }: Place & { pid: number }, answer: Answer): string | null {
  if (place.startedAt === answer.startedAt) return answer.states[pid] ?? 'gone'
  const hasTakenOver = place.isPrimary && answer.isPrimary && place.databaseId === answer.databaseId
  return hasTakenOver ? 'gone' : null
}

/** Makes an inquiry for one pool: see above. */
export function createInquiry({
  url,
  applicationName,
  askAfterMs = 5_000,
  log,
}: InquiryOptions): Inquiry {
  const clients = new Set<object>()
  const waiting = new Map<object, Waiting>()
  /** Where those are answered that reach a server directly: a pooler tells other numbers, and changes processes. */
  const places = new WeakMap<object, Place & { pid: number }>()
  let question: Socket | null = null
  let isScheduled = false
  let isStopped = false
  let timer: NodeJS.Timeout | undefined

  function schedule(): void {
    if (isScheduled || isStopped || waiting.size === 0) return
    isScheduled = true
    timer = setTimeout(() => {
      void look().finally(() => {
        isScheduled = false
        schedule()
      })
    }, askAfterMs / 5)
    timer.unref()
  }

  async function look(): Promise<void> {
    const silent = [...waiting].filter(([client, one]) => isSilent(client, one))
    if (silent.length === 0) return
    const answer = await ask(silent.flatMap(([client]) => places.get(client)?.pid ?? []))
    // A server that is out of reach is asked again at the next look.
    if (answer === null) return
    const lost = silent.filter(([client, one]) => {
      const place = places.get(client)
      if (!place || waiting.get(client) !== one || !isSilent(client, one)) return false
      const state = stateOf(place, answer)
      if (state === null) {
        one.askAt = performance.now() + askAfterMs
        return false
      }
      const isIdle = state === 'gone' || state.startsWith('idle')
      const isLost = isIdle && one.wasIdle
      one.wasIdle = isIdle
      if (!isIdle) one.askAt = performance.now() + askAfterMs
      return isLost
    })
    if (lost.length === 0) return
    log.warn(
      { connections: lost.length },
      'the database is not at work on what was asked: these connections lost their other end and are replaced',
    )
    for (const [client] of lost) socketOf(client).destroy()
    doubt()
  }

  function isSilent(client: object, one: Waiting): boolean {
    if (progressOf(client) !== one.progress) Object.assign(one, toWaiting(client, one.statements))
    return performance.now() >= one.askAt && places.has(client)
  }

  const toWaiting = (client: object, statements: number): Waiting => ({
    statements,
    progress: progressOf(client),
    askAt: performance.now() + askAfterMs,
    wasIdle: false,
  })

  /** What the server says of its processes, or null when it does not answer. */
  async function ask(pids: readonly number[]): Promise<Answer | null> {
    const socket = new Socket()
    question = socket
    const client = new pg.Client({
      ...connectionSettings(url),
      application_name: applicationName,
      stream: () => socket,
    })
    client.on('error', () => undefined)
    try {
      await client.connect()
      const inTime = { timeoutMs: ANSWER_TIMEOUT_MS, socket: socketOf(client) }
      // Its statements may run as another role (`alter role … set role`), which sees no states of the login role.
      await answerInTime(client.query('set role none'), inTime)
      const answer = client.query<Answer>(STATES_SQL, [pids])
      return (await answerInTime(answer, inTime)).rows[0] ?? null
    } catch {
      return null
    } finally {
      question = null
      if (isStopped) socket.destroy()
      await endClient(client, socket)
    }
  }

  function doubt(): void {
    for (const client of clients) {
      if (waiting.has(client)) continue
      const inTime = { timeoutMs: SYNC_TIMEOUT_MS, socket: socketOf(client) }
      answerInTime(sync(client), inTime).catch(() => socketOf(client).destroy())
    }
  }

  return {
    async open(given) {
      const client = given as pg.Client
      const socket = socketOf(client)
      const inTime = { timeoutMs: ANSWER_TIMEOUT_MS, socket }
      try {
        const answer = client.query<Opened>(OPEN_SQL)
        const { rows } = await answerInTime(answer, inTime)
        const [place] = rows
        if (place && place.pid === (client as { processID?: number }).processID)
          places.set(client, place)
        clients.add(client)
        client.once('end', () => clients.delete(client))
        return place?.keepsToIndexes === true
      } catch (error) {
        socket.destroy()
        throw error
      }
    },
    asked(client) {
      const one = waiting.get(client)
      if (one) one.statements++
      else waiting.set(client, toWaiting(client, 1))
      schedule()
    },
    answered(client) {
      const one = waiting.get(client)
      if (one === undefined) return
      if (one.statements === 1) waiting.delete(client)
      else waiting.set(client, toWaiting(client, one.statements - 1))
    },
    doubt,
    stop() {
      isStopped = true
      clearTimeout(timer)
      question?.destroy()
    },
  }
}

const OPEN_SQL = `
  select pg_backend_pid() as "pid", current_setting('enable_seqscan') = 'off' as "keepsToIndexes", ${PLACE_SQL},
    (${LIFT_TRANSACTION_TIMEOUT_SQL})`

type Opened = Place & { pid: number; keepsToIndexes: boolean }

const STATES_SQL = `
  select ${PLACE_SQL}, (
    select coalesce(jsonb_object_agg(pid, coalesce(state, 'hidden')), '{}') from pg_stat_activity
    where pid = any($1::int[]) and datname = current_database()
  ) as "states"`

/** Changes while an answer arrives, and while a long statement is being sent: the server is at work on it only afterwards. */
function progressOf(client: object): number {
  // Node has this number for its own time-outs. What the kernel has taken counts as sent.
  const socket = socketOf(client) as Socket & { _handle?: { writeQueueSize?: number } | null }
  return socket.bytesRead - (socket._handle?.writeQueueSize ?? 0)
}

/** Sends a Sync, which the server answers without a statement. */
export function sync(client: object): Promise<void> {
  return new Promise((resolve, reject) => {
    const asker = client as pg.Client
    asker.query({
      submit: (connection: pg.Connection) => connection.sync(),
      handleReadyForQuery: () => resolve(),
      handleError: reject,
    })
  })
}
