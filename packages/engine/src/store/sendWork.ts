import type { Envelope } from './boss.ts'
import type { Connection } from './database.ts'

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
  /** Of these pieces, those that were put into their queues; null where nobody asked. */
  ids: string[] | null
  /** The transaction that has put them there: others see them once it has committed. */
  transactionId: string
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

/**
 * Puts work of any jobs into their queues with one statement. It tells no worker: a notification would make the commit
 * of whoever asks wait for all others that notify (see waker.ts).
 * @throws QueueMissingError which names all queues that are missing. The caller's transaction must not be committed then.
 */
export async function sendWork(
  connection: Pick<Connection, 'query'>,
  work: readonly WorkToSend[],
  { returnIds = false } = {},
): Promise<Sent> {
  const pieces = work.map(({ envelope, ...piece }) => ({ ...piece, data: envelope }))
  const { rows } = await connection.query<Sent & { missing: string[] }>(SEND_SQL, [
    JSON.stringify(pieces),
    returnIds,
  ])
  const [sent] = rows
  if (sent === undefined) throw new Error('The database did not say what became of the work')
  if (sent.missing.length > 0) throw new QueueMissingError(sent.missing)
  return sent
}

/**
 * A row as pg-boss's send() makes it: what a queue says of its work is copied, and the rest is the table's default.
 * The parent table finds the queue's partition.
 */
const SEND_SQL = `
  with work as materialized (
    select * from json_to_recordset($1::text::json) as work(
      id uuid, name text, data jsonb, "startAfter" timestamptz, priority int, "uniqueKey" text
    )
  ), sent as (
    insert into pgboss.job (
      id, name, data, start_after, created_on, keep_until, priority, singleton_key, expire_seconds, deletion_seconds,
      retry_limit, retry_delay, retry_backoff, retry_delay_max, policy, dead_letter, heartbeat_seconds
    )
    select work.id, work.name, work.data, coalesce(work."startAfter", pgboss.job_now()), pgboss.job_now(),
      coalesce(work."startAfter", pgboss.job_now()) + queue.retention_seconds * interval '1 second',
      coalesce(work.priority, 0), work."uniqueKey", queue.expire_seconds, queue.deletion_seconds,
      queue.retry_limit, queue.retry_delay, queue.retry_backoff, queue.retry_delay_max, queue.policy, queue.dead_letter,
      queue.heartbeat_seconds
    from work join pgboss.queue queue on queue.name = work.name
    on conflict do nothing
    returning id
  )
  select case when $2::bool then array(select id::text from sent) end as "ids",
         pg_current_xact_id()::text as "transactionId",
         array(
           select distinct work.name from work
           where not exists (select from pgboss.queue queue where queue.name = work.name) order by 1
         ) as "missing"`
