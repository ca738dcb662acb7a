import pg from 'pg'
import type { Connection } from './database.ts'

/*
 * NOTIFY channels. The commit of a transaction that notifies waits for all others that notify, and those wait for the disk
 * and for a standby. So the engine never notifies in a transaction that does anything else: see `notify`. These are the names
 * in schema `public`; `Schema.channel` gives the name in another schema.
 */

/** Payload: a WakeUp, of the name of a job that may have work. */
export const WORK_CHANNEL = 'roundsman_work'

/** The subject of a wake-up about signals: a job's name has no slash. */
export const SIGNALS = 'signals/'

/** Payload: a WakeUp, of the id of a run that somebody wants to stop. */
export const CANCEL_CHANNEL = 'roundsman_cancel'

/** Payload: an Announcement as JSON, for consoles. Nothing depends on its arrival. */
export const CHANGES_CHANNEL = 'roundsman_changes'

export interface Announcement {
  /** Ids of runs that started, progressed or ended; empty if they are too many for one announcement: go by `names`. */
  ids: string[]
  /** The jobs of all runs that changed. */
  names: string[]
  /** Jobs whose ticks a worker decided. */
  ticks: string[]
}

/** Tells workers that there may be something to do once a transaction has committed. */
export interface WakeUp {
  /** The name of a job, or the id of a run. */
  subject: string
  /** The transactions to wait for; empty when they have committed. */
  transactionIds: readonly string[]
}

/**
 * What workers tell each other of a limit, as the subject of a wake-up: a job's name has no slash.
 *   waits  Work of the job `about` waits at this worker since the limit is full.
 *   room   The limit may have room, or the key `about` under it. An empty worker: for all, since people have set other numbers.
 */
export interface LimitNews {
  kind: 'waits' | 'room'
  limit: string
  worker: string
  about: string
}

/** Writes a subject that readLimitNews reads. */
export function writeLimitNews({ kind, limit, worker, about }: LimitNews): string {
  return [kind, limit, worker, about].map(encodeURIComponent).join('/')
}

/** Null: the subject is something else, since anybody who can connect can notify. */
export function readLimitNews(subject: string): LimitNews | null {
  const parts = subject.split('/')
  const [kind, ...rest] = parts
  if ((kind !== 'waits' && kind !== 'room') || rest.length !== 3) return null
  try {
    const [limit = '', worker = '', about = ''] = rest.map(decodeURIComponent)
    return { kind, limit, worker, about }
  } catch {
    return null
  }
}

/** PostgreSQL takes fewer than 8,000 bytes in a notification. */
export const TRANSACTIONS_PER_WAKE_UP = 100
const MAX_WAKE_UP_LENGTH = 100 + TRANSACTIONS_PER_WAKE_UP * 21

/** Writes a payload that readWakeUp reads. */
export function writeWakeUp({ subject, transactionIds }: WakeUp): string {
  return [subject, ...transactionIds].join(' ')
}

/** Reads a payload; null when it is no wake-up, since anybody who can connect can notify. */
export function readWakeUp(payload: string): WakeUp | null {
  if (payload.length > MAX_WAKE_UP_LENGTH) return null
  const [subject = '', ...transactionIds] = payload.split(' ')
  return transactionIds.every((id) => /^\d{1,19}$/.test(id)) ? { subject, transactionIds } : null
}

/**
 * Notifies in a transaction of its own: it writes nothing, so it waits neither for the disk nor for a standby. When the
 * commit of somebody else who notifies hangs, it fails after a second: no other limit ends a wait inside a commit.
 */
export async function notify(
  connection: Connection,
  channel: string,
  payloads: readonly string[],
): Promise<void> {
  const to = connection.schema.channel(channel)
  if (payloads.length > 1) await connection.query(NOTIFY_SQL, [to, payloads])
  else
    for (const payload of payloads)
      await connection.query({ foreignText: notifyOneSql(to, payload) })
}

/** The limit counts at the commit, which is when PostgreSQL takes the lock. */
const LIMIT = `select set_config('lock_timeout', '1000', true)`
const NOTIFY_SQL = `${LIMIT}, pg_notify($1, payload) from unnest($2::text[]) payload`

/**
 * Without parameters it is one message, which PostgreSQL carries out in half the time: workers hear of work sooner.
 * It is not NOTIFY itself, of which pg_stat_statements would keep each text apart.
 */
function notifyOneSql(channel: string, payload: string): string {
  return `${LIMIT}, pg_notify(${pg.escapeLiteral(channel)}, ${pg.escapeLiteral(payload)})`
}
