import { HOLDS_KEY } from './uniqueKeys.ts'

/**
 * Dead letters: work that has used up its attempts, or that no attempt can help. It stays where it was, with
 * its error, until somebody redrives or discards it.
 *
 * Only what a program has enqueued. For a tick the next one makes up, and whoever has asked for a run looks
 * at what became of it and asks again.
 */
export const IS_DEAD_LETTER = `job.state = 'failed' and job.data ->> 'trigger' = 'queue'`

/** pg-boss has no index of its own for what has failed. */
export const DEAD_LETTER_INDEX_SQL = `
  create index if not exists roundsman_dead_letters on pgboss.job (completed_on desc, id desc)
  where state = 'failed' and data ->> 'trigger' = 'queue'`

/** pg-boss would remove them after a while, as it does completed work; 0 keeps them. */
export const KEEP_DEAD_LETTERS_SQL = `
  update pgboss.job set deletion_seconds = 0
  where name = $1 and id = any($2) and ${IS_DEAD_LETTER}`

/** Those that pg-boss has made of attempts that expired, before claims saw to it that they are kept. */
export const KEEP_ALL_DEAD_LETTERS_SQL = `
  update pgboss.job job set deletion_seconds = 0 where ${IS_DEAD_LETTER} and deletion_seconds <> 0`

/** Whether other work of its job holds the unique key of `job`. */
export const IS_KEY_HELD = `exists (
  select from pgboss.job holder
  where holder.name = job.name and holder.singleton_key = job.singleton_key and holder.id <> job.id and ${HOLDS_KEY}
)`

/** As if it had been fetched: the one attempt that follows is the last. */
export const TAKE_DEAD_LETTER_SQL = `
  update pgboss.job
  set state = 'active', started_on = now(), completed_on = null, output = null,
      retry_count = retry_count + 1, retry_limit = retry_count + 1, expire_seconds = $3
  where name = $1 and id = $2 and ${IS_DEAD_LETTER} and not ${IS_KEY_HELD}
  returning id::text as id, name, data, retry_count as "retryCount"`

/** Which work holds the unique key of a dead letter. */
export const FIND_HOLDER_SQL = `
  select holder.id::text as id
  from pgboss.job job
    join pgboss.job holder on holder.name = job.name and holder.singleton_key = job.singleton_key
      and holder.singleton_key is not null and holder.state <= 'active'
  where job.name = $1 and job.id = $2 and ${IS_DEAD_LETTER}`
