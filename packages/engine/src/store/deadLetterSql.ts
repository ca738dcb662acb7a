import { labelOf, shownOf } from './envelopeSql.ts'
import { HOLDS_KEY } from './uniqueKeys.ts'

/**
 * Dead letters: work that has used up its attempts, or that no attempt can help. It stays in the queue's table, with its
 * error, until somebody redrives or discards it.
 *
 * Only work that a program enqueued or a person requested becomes one. Dry runs do not, nor do requested runs that somebody
 * cancelled or may still approve. Work of ticks does not either: the next tick makes up for it.
 */
const isDeadLetter = (job: string) => `
  ${job}state = 'failed' and (${job}data ->> 'trigger' = 'queue' or (
    ${job}data ->> 'trigger' = 'manual' and ${job}data -> 'dryRun' is distinct from 'true'
    and coalesce(${job}output ->> 'code', '') not in ('cancelled', 'guard_blocked')
  ))`
export const IS_DEAD_LETTER = `(${isDeadLetter('job.')})`

/** The index of an older version, `roundsman_dead_letters`, lacks requested runs, and stays for that version's workers. */
export const DEAD_LETTER_INDEX = 'roundsman_given_up'

/** pg-boss has no index of failed work. */
export const DEAD_LETTER_INDEX_SQL = `
  create index if not exists ${DEAD_LETTER_INDEX} on pgboss.job (completed_on desc, id desc) where ${isDeadLetter('')}`

const IS_REPLACED = `job.data ->> 'replacedBy' is not null`

/**
 * Keeps pg-boss from deleting dead letters after a while: 0 means never. What newer work has replaced while it ran is
 * cancelled instead: tried once more, it would undo what the newer has done.
 */
export const KEEP_DEAD_LETTERS_SQL = `
  update pgboss.job job
  set deletion_seconds = case when ${IS_REPLACED} then queue.deletion_seconds else 0 end,
      state = case when ${IS_REPLACED} then 'cancelled' else job.state end
  from pgboss.queue queue
  where queue.name = $1 and job.name = $1 and job.id = any($2) and ${IS_DEAD_LETTER}`

/** Does the same for dead letters of expired attempts, from before claims set `deletion_seconds` themselves. */
export const KEEP_ALL_DEAD_LETTERS_SQL = `
  update pgboss.job job set deletion_seconds = 0 where ${IS_DEAD_LETTER} and deletion_seconds <> 0`

/** Whether other work of its job holds the unique key of `job`. */
const IS_KEY_HELD = `exists (
  select from pgboss.job holder
  where holder.name = job.name and holder.singleton_key = job.singleton_key and holder.id <> job.id and ${HOLDS_KEY}
)`

/**
 * Takes a dead letter as a claim takes work, for one attempt, which is the last. From then on a requested run counts as work
 * of a program: whatever ends the attempt, also a cancellation, it is a dead letter again.
 */
export const TAKE_DEAD_LETTER_SQL = `
  update pgboss.job
  set state = 'active', data = data || '{"trigger": "queue"}', started_on = now(), completed_on = null, output = null,
      retry_count = retry_count + 1, retry_limit = retry_count + 1, expire_seconds = $3
  where name = $1 and id = $2 and ${IS_DEAD_LETTER} and not ${IS_KEY_HELD}
  returning id::text as id, name, data, retry_count as "retryCount"`

/** Finds the work that holds the unique key of a dead letter. */
export const FIND_HOLDER_SQL = `
  select holder.id::text as id
  from pgboss.job job
    join pgboss.job holder on holder.name = job.name and holder.singleton_key = job.singleton_key
      and holder.singleton_key is not null and holder.state <= 'active'
  where job.name = $1 and job.id = $2 and ${IS_DEAD_LETTER}`

/** Work that pg-boss itself gave up has no code: it expired. */
const CODE = `coalesce(left(job.output ->> 'code', 100), 'expired')`
const MESSAGE = `coalesce(left(job.output ->> 'message', 1000), 'It was not settled in time')`

/** Dead letters of job `$1` (null: any) with the code `$2` (null: any). */
const IS_WANTED = `${IS_DEAD_LETTER} and ($1::text is null or job.name = $1) and ($2::text is null or ${CODE} = $2)`
/** After the position `$3` and `$4` (null: from the first). */
const IS_AFTER = `($3::timestamptz is null or (job.completed_on, job.id) < ($3::timestamptz, $4::uuid))`

export const LIST_DEAD_LETTERS_SQL = `
  select letter.*, run."id"::text as "runId"
  from (
    select job.id::text as "workId", job.name, ${labelOf('job.data')} as "label", ${shownOf('job.data')} as "shown",
           job.retry_count + 1 as "attempts", job.created_on as "enqueuedAt", job.completed_on as "failedAt", job.completed_on::text as "position",
           jsonb_build_object('code', ${CODE}, 'message', ${MESSAGE}) as "error"
    from pgboss.job job
    where ${IS_WANTED} and ${IS_AFTER}
    order by job.completed_on desc, job.id desc limit $5::int
  ) letter
  -- The last attempt, by the index of what runs were attempts at.
  left join lateral (
    select run."id" from "JobRun" run where run."workId" = letter."workId"::uuid
    order by run."attempt" desc, run."startedAt" desc limit 1
  ) run on true
  order by letter."failedAt" desc, letter."workId"::uuid desc`

/** The ids and positions of dead letters, of all or of the ids `$6`. */
export const CHOOSE_DEAD_LETTERS_SQL = `
  select job.id::text as "workId", job.name, job.completed_on::text as "position"
  from pgboss.job job
  where ${IS_WANTED} and ${IS_AFTER} and ($6::uuid[] is null or job.id = any($6::uuid[]))
  order by job.completed_on desc, job.id desc limit $5::int`

/** For each dead letter its runs are looked up by an index: so many take some tenths of a second. */
export const MAX_LETTERS_LOOKED_AT = 10_000

/**
 * Looks through the latest dead letters of job `$1` after the position `$2` and `$3`, and chooses the first `$4` of which a
 * run matches: `conditions` are those of `run`. One row, also with how many match and where the look ended.
 */
export const chooseLettersOfRunsSql = (conditions: readonly string[]) => `
  with looked as materialized (
    select job.id, job.name, job.completed_on from pgboss.job job
    where ${IS_DEAD_LETTER} and ($1::text is null or job.name = $1)
      and ($2::timestamptz is null or (job.completed_on, job.id) < ($2::timestamptz, $3::uuid))
    order by job.completed_on desc, job.id desc limit ${MAX_LETTERS_LOOKED_AT}
  ), matching as materialized (
    select looked.* from looked
    where exists (
      select from "JobRun" run
      where ${['run."workId" = looked.id', 'run."name" = looked.name', ...conditions].join(' and ')}
    )
  )
  select (select count(*) from matching)::int as "count", (select count(*) from looked)::int as "looked", (
           select coalesce(jsonb_agg(letter order by letter.place), '[]') from (
             select id, name, completed_on::text as "at", row_number() over (order by completed_on desc, id desc) as place
             from matching order by place limit $4::int
           ) letter
         ) as "letters", (
           select jsonb_build_object('id', id, 'at', completed_on::text) from looked order by completed_on, id limit 1
         ) as "last"`

/** Counts dead letters, up to `$5`. */
export const COUNT_DEAD_LETTERS_SQL = `
  select count(*)::int as "count" from (
    select from pgboss.job job where ${IS_WANTED} and ${IS_AFTER}
    order by job.completed_on desc, job.id desc limit $5::int
  ) counted`

/** Counts the last `$5` dead letters by code, with the message of the last of each. */
export const LIST_CODES_SQL = `
  select code, count(*)::int as "count", min(at) as "firstAt", max(at) as "lastAt",
         (array_agg(message order by at desc))[1] as "message"
  from (
    select ${CODE} as code, left(job.output ->> 'message', 200) as message, job.completed_on as at
    from pgboss.job job where ${IS_WANTED} and ${IS_AFTER}
    order by job.completed_on desc, job.id desc limit $5::int
  ) letter
  group by code order by count(*) desc, max(at) desc limit $6::int`

/** Counting by cause reads no more, so that a million dead letters cost no more. */
export const MAX_COUNTED_DEAD_LETTERS = 10_000

/** The latest dead letters of the jobs `$1`, with their errors. */
const LATEST_DEAD_LETTERS = `(
    select job.name, coalesce(left(job.output ->> 'code', 100), 'expired') as code,
           left(coalesce(job.output ->> 'message', ''), 200) as message, job.completed_on as at
    from pgboss.job job where ${IS_DEAD_LETTER} and job.name = any($1::text[])
    order by job.completed_on desc, job.id desc limit ${MAX_COUNTED_DEAD_LETTERS}
  ) letter`

export const COUNT_DEAD_LETTERS_BY_CODE_SQL = `
  select letter.name, letter.code as "code", count(*)::int as "count" from ${LATEST_DEAD_LETTERS}
  group by 1, 2 order by "count" desc, letter.name, letter.code`

/** Handlers make up their codes, so each dead letter may have its own. */
const MAX_CAUSES = 100

/** A row for each job and code, the most frequent first. */
export const DEAD_LETTER_CAUSES_SQL = `
  select letter.name, letter.code, count(*)::int as "count", min(letter.at) as "firstAt", max(letter.at) as "lastAt",
         (array_agg(letter.message order by letter.at desc))[1] as "message",
         (sum(count(*)) over () >= ${MAX_COUNTED_DEAD_LETTERS} or count(*) over () > ${MAX_CAUSES}) as "isCut"
  from ${LATEST_DEAD_LETTERS}
  group by 1, 2 order by "count" desc, letter.name, letter.code limit ${MAX_CAUSES}`

export const FIND_DEAD_LETTER_SQL = `
  select job.name from pgboss.job job where job.id = $1::uuid and ${IS_DEAD_LETTER}`

/** Discards dead letters by name and id, since the primary key begins with the name. */
export const DISCARD_DEAD_LETTERS_SQL = `
  delete from pgboss.job job using unnest($1::text[], $2::uuid[]) as letter(name, id)
  where job.name = letter.name and job.id = letter.id and ${IS_DEAD_LETTER}
  returning job.name, job.id::text as "workId"`

export const DISCARD_DEAD_LETTER_SQL = `
  delete from pgboss.job job where job.id = $1::uuid and ${IS_DEAD_LETTER} returning job.name`

/** Keeps a call short, however many there are. */
const MAX_REDRIVEN = 10_000

/**
 * Redrives dead letters by deleting and inserting them: an update could not skip a unique key that somebody takes at this
 * moment. One that meets such a key is put back as it was. Keys in order, so that two transactions do not deadlock.
 */
export const REDRIVE_DEAD_LETTERS_SQL = `
  with chosen as materialized (
    select job.id, job.completed_on from pgboss.job job
    where job.name = $1 and ${IS_DEAD_LETTER} and ($2::uuid[] is null or job.id = any($2::uuid[])) and not ${IS_KEY_HELD}
    order by job.completed_on, job.id limit ${MAX_REDRIVEN} for update skip locked
  ), held as materialized (
    -- Of those that a further call would meet, that call tells.
    select from pgboss.job job
    where job.name = $1 and ${IS_DEAD_LETTER} and ($2::uuid[] is null or job.id = any($2::uuid[])) and ${IS_KEY_HELD}
      and ((select count(*) from chosen) < ${MAX_REDRIVEN} or job.completed_on <= (select max(completed_on) from chosen))
  ), taken as (
    delete from pgboss.job job where job.name = $1 and job.id = any(array(select id from chosen))
    returning job as letter
  ), redriven as (
    insert into pgboss.job
    select again.* from taken, pgboss.queue queue, lateral jsonb_populate_record(letter, jsonb_build_object(
      'state', 'retry', 'start_after', now(), 'completed_on', null, 'output', null,
      'retry_limit', (letter).retry_count + 1 + $3::int,
      -- What has lost its worker runs alone once more, and has all its tries at it anew. Whoever redrives it wants it now.
      -- An approval has ended with the work that it was for. What newer work has replaced does not start: it ends as expired.
      'data', (letter).data - array['lostAlone', 'expiresAt', 'approvedRows', 'approvedUntil'] || jsonb_build_object('actor', $4::text, 'reason', $5::text),
      'keep_until', now() + queue.retention_seconds * interval '1 second',
      'deletion_seconds', queue.deletion_seconds
    )) again
    where queue.name = $1
    order by again.singleton_key collate "C"
    on conflict do nothing
    returning id
  ), kept as (
    insert into pgboss.job select (letter).* from taken where (letter).id not in (select id from redriven)
    returning id
  )
  select redriven.id::text as "workId", left_out.count::int as "alreadyQueued"
  from (
    select (select count(*) from held) + (select count(*) from kept) as count
  ) left_out left join redriven on true`
