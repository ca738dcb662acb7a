import type { Envelope } from './boss.ts'
import type { Connection } from './database.ts'
import { QueueMissingError } from './enqueueWork.ts'

/** A piece of work to be taken at once, under an id of the caller's. */
export interface WorkToSend {
  id: string
  name: string
  envelope: Envelope
}

/**
 * Puts work of any jobs into their queues with one statement; pg-boss needs one for each queue.
 * @throws QueueMissingError which names all queues that are missing. The caller's transaction must not be committed then.
 */
export async function sendWork(tx: Connection, work: readonly WorkToSend[]): Promise<void> {
  if (work.length === 0) return
  const { rows } = await tx.query<{ missing: string[] }>(SEND_SQL, [
    work.map(({ id }) => id),
    work.map(({ name }) => name),
    work.map(({ envelope }) => JSON.stringify(envelope)),
  ])
  const missing = rows[0]?.missing ?? []
  if (missing.length > 0) throw new QueueMissingError(missing)
}

/**
 * A row as pg-boss's send() makes it: what a queue says of its work is copied, and the rest is the table's default.
 * The parent table finds the queue's partition. Listeners hear of each queue once, whatever was sent.
 */
const SEND_SQL = `
  with work as materialized (
    select * from unnest($1::uuid[], $2::text[], $3::text[]) as work(id, name, data)
  ), sent as (
    insert into pgboss.job (
      id, name, data, start_after, created_on, keep_until, expire_seconds, deletion_seconds, retry_limit,
      retry_delay, retry_backoff, retry_delay_max, policy, dead_letter, heartbeat_seconds
    )
    select work.id, work.name, work.data::jsonb, pgboss.job_now(), pgboss.job_now(),
      pgboss.job_now() + queue.retention_seconds * interval '1 second', queue.expire_seconds, queue.deletion_seconds,
      queue.retry_limit, queue.retry_delay, queue.retry_backoff, queue.retry_delay_max, queue.policy, queue.dead_letter,
      queue.heartbeat_seconds
    from work join pgboss.queue queue on queue.name = work.name
    on conflict do nothing
    returning name
  ), told as materialized (
    select pg_notify('pgboss_' || left(encode(sha224('pgboss'::bytea), 'hex'), 24), queue.name)
    from pgboss.queue queue
    where queue.notify and queue.name in (select name from sent)
  )
  select coalesce(array_agg(distinct work.name), '{}') as "missing", (select count(*) from told)
  from work where not exists (select from pgboss.queue queue where queue.name = work.name)`
