import { createHash } from 'node:crypto'
import type { Connection } from './database.ts'

/*
 * NOTIFY channels. A notification makes the commit of its transaction wait for all others that notify, and those wait
 * for the disk, and for a standby. So nobody notifies in a transaction that does anything else: see `notify`. Named as in
 * `public`, where earlier versions hear them; `Schema.channel` tells the name in another schema.
 */

/** pg-boss's own, on which earlier versions listen. Payload: a WakeUp; theirs is the name of a queue. */
export const WORK_CHANNEL = `pgboss_${createHash('sha224').update('pgboss').digest('hex').slice(0, 24)}`

/** Payload: a WakeUp, of the id of a run that somebody wants to stop. */
export const CANCEL_CHANNEL = 'roundsman_cancel'

/** Payload: an Announcement as JSON. For those who watch; nothing depends on its arrival. */
export const CHANGES_CHANNEL = 'roundsman_changes'

export interface Announcement {
  /** Runs that have started, progressed or ended; not all of them when there were many. */
  ids: string[]
  /** All jobs that those runs are of. */
  names: string[]
  /** Jobs of which ticks were decided. */
  ticks: string[]
}

/** What somebody may find to do, once a transaction has committed. */
export interface WakeUp {
  /** The name of a job, or the id of a run. */
  subject: string
  /** None: it has committed. */
  transactionIds: readonly string[]
}

/** A notification holds less than 8,000 bytes. */
export const TRANSACTIONS_PER_WAKE_UP = 100
const MAX_WAKE_UP_LENGTH = 100 + TRANSACTIONS_PER_WAKE_UP * 21

export function writeWakeUp({ subject, transactionIds }: WakeUp): string {
  return [subject, ...transactionIds].join(' ')
}

/** Whoever may connect may notify: null where it is none of ours. */
export function readWakeUp(payload: string): WakeUp | null {
  if (payload.length > MAX_WAKE_UP_LENGTH) return null
  const [subject = '', ...transactionIds] = payload.split(' ')
  return transactionIds.every((id) => /^\d{1,19}$/.test(id)) ? { subject, transactionIds } : null
}

/**
 * Tells those who listen, in a transaction of its own: one that writes nothing waits neither for the disk nor for a
 * standby. Where the commit of somebody else who notifies hangs, it fails after a second: of its own waiting for that,
 * inside its commit, no other limit would rid the server.
 */
export async function notify(
  connection: Connection,
  channel: string,
  payloads: readonly string[],
): Promise<void> {
  await connection.query(NOTIFY_SQL, [connection.schema.channel(channel), payloads])
}

const NOTIFY_SQL = `
  with patience as materialized (select set_config('lock_timeout', '1000', true))
  select pg_notify($1, payload) from patience, unnest($2::text[]) payload`
