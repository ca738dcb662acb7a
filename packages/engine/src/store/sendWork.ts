import type { Envelope } from './envelope.ts'
import type { Connection } from './database.ts'
import { SEND_MARK } from './schema.ts'

/** A piece of work to be put into its queue, under an id of the caller's. */
export interface WorkToSend {
  id: string
  name: string
  envelope: Envelope
  /** Default: it can be taken at once. */
  startAfter?: Date
  /** Default 0. */
  priority?: number
  /** Default: none. */
  uniqueKey?: string
}

export interface Sent {
  /** Of these pieces, those that were put into their queues; null where they are many, and nobody asked. */
  ids: string[] | null
  /** The transaction that has put them there: others see them once it has committed. Null: nothing was. */
  transactionId: string | null
}

/** pg-boss knows no queues of these names in this database. */
export class QueueMissingError extends Error {
  override readonly name = 'QueueMissingError'
  readonly jobs: readonly string[]

  constructor(jobs: readonly string[]) {
    super(
      `The queue of ${jobs.join(', ')} is missing in this database: a worker that knows the job creates it when it starts`,
    )
    this.jobs = jobs
  }
}

/** Of more, the ids take their time on the way back. */
const FEW = 100

/**
 * Puts work of any jobs into their queues with one statement. It tells no worker: a notification would make the commit
 * of whoever asks wait for all others that notify (see waker.ts).
 * @throws QueueMissingError which names all queues that are missing. The caller's transaction must not be committed then.
 */
export async function sendWork(
  connection: Connection,
  work: readonly WorkToSend[],
  { returnIds = false } = {},
): Promise<Sent> {
  const pieces = JSON.stringify(
    work.map(({ envelope, ...piece }) => ({ ...piece, data: envelope })),
  )
  const isListed = returnIds || work.length <= FEW
  const send = async () =>
    (await connection.query<SentRow>(isListed ? SEND_AND_LIST_SQL : SEND_SQL, [pieces])).rows
  const rows = await send()
  const sent = new Set(isListed ? rows.map(({ id }) => id) : [])
  // Of those with a key, somebody else may hold it.
  const isShort = isListed
    ? work.some(({ id, uniqueKey }) => uniqueKey === undefined && !sent.has(id))
    : rows[0]?.count !== work.length
  if (isShort || rows.length === 0) await expectQueues(connection, work)
  // One that was missing may have come in between. What is there already stays as it is.
  if (isShort) rows.push(...(await send()))
  return {
    ids: isListed ? rows.map(({ id }) => id) : null,
    transactionId: rows[0]?.transactionId ?? null,
  }
}

interface SentRow {
  [column: string]: unknown
  id: string
  count: number
  transactionId: string
}

async function expectQueues(connection: Connection, work: readonly WorkToSend[]): Promise<void> {
  const names = [...new Set(work.map(({ name }) => name))]
  const { rows } = await connection.query<{ missing: string }>(FIND_MISSING_SQL, [names])
  if (rows.length > 0) throw new QueueMissingError(rows.map(({ missing }) => missing))
}

const FIND_MISSING_SQL = `
  select wanted.name as "missing" from unnest($1::text[]) wanted(name)
  where not exists (select from pgboss.queue queue where queue.name = wanted.name) order by 1`

/**
 * Rows as pg-boss's send() makes them: what a queue says of its work is copied, and the rest is the table's default. The
 * parent table finds the queue's partition. In a caller's transaction it is planned each time, which takes longer than
 * the insert itself: every part of the statement costs all who enqueue.
 */
const INSERT_SQL = `
  insert into pgboss.job (
    id, name, data, start_after, created_on, keep_until, priority, singleton_key, expire_seconds, deletion_seconds,
    retry_limit, retry_delay, retry_backoff, retry_delay_max, policy, dead_letter, heartbeat_seconds
  )
  select work.id, queue.name, work.data, coalesce(work."startAfter", now()), now(),
    coalesce(work."startAfter", now()) + queue.retention_seconds * interval '1 second', coalesce(work.priority, 0),
    work."uniqueKey", queue.expire_seconds, queue.deletion_seconds, queue.retry_limit, queue.retry_delay,
    queue.retry_backoff, queue.retry_delay_max, queue.policy, queue.dead_letter, queue.heartbeat_seconds
  from rows from (json_to_recordset($1::text::json) as (
    id uuid, name text, data jsonb, "startAfter" timestamptz, priority int, "uniqueKey" text
  )) with ordinality as work(id, name, data, "startAfter", priority, "uniqueKey", place)
    join pgboss.queue queue on queue.name = work.name
  -- In the order of the caller, who has sorted them: two transactions with the same keys must not wait for each other.
  order by work.place
  on conflict do nothing`

const SEND_AND_LIST_SQL = `${SEND_MARK}${INSERT_SQL}
  returning id::text as "id", pg_current_xact_id()::text as "transactionId"`

const SEND_SQL = `
  with sent as (${INSERT_SQL} returning 1)
  select count(*)::int as "count", pg_current_xact_id()::text as "transactionId" from sent`
