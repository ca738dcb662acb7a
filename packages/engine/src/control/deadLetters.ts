import type { PrismaTransactionLike } from 'pg-boss'
import type { Job } from '../index.ts'
import { IS_DEAD_LETTER, IS_KEY_HELD } from '../store/deadLetterSql.ts'
import type { Request } from './controlJobs.ts'
import { recordActions, storableActor, type Actor } from './recordActions.ts'

/** Work that was given up: it is kept with its error until somebody redrives or discards it. */
export interface DeadLetter {
  /** Its runs carry it. */
  queueJobId: string
  name: string
  /** How many there were. */
  attempts: number
  enqueuedAt: Date
  failedAt: Date
  error: { code: string; message: string }
}

export interface DeadLetterPosition {
  /** With microseconds, as PostgreSQL writes it. */
  failedAt: string
  queueJobId: string
}

export interface DeadLetterQuery {
  limit: number
  name?: string | undefined
  /** Those that failed before this one. */
  after?: DeadLetterPosition | undefined
}

/** The latest first. */
export async function listDeadLetters(
  tx: PrismaTransactionLike,
  { limit, name: job, after }: DeadLetterQuery,
): Promise<{ deadLetters: DeadLetter[]; next: DeadLetterPosition | null }> {
  const rows = await tx.$queryRawUnsafe<(DeadLetter & { position: string })[]>(
    `select job.id::text as "queueJobId", job.name, job.retry_count + 1 as "attempts",
            job.created_on as "enqueuedAt", job.completed_on as "failedAt", job.completed_on::text as "position",
            jsonb_build_object(
              -- What pg-boss itself has given up carries no code of ours.
              'code', coalesce(left(job.output ->> 'code', 100), 'expired'),
              'message', coalesce(left(job.output ->> 'message', 1000), 'It was not settled in time')
            ) as "error"
     from pgboss.job job
     where ${IS_DEAD_LETTER} and ($1::text is null or job.name = $1)
       and ($2::timestamptz is null or (job.completed_on, job.id) < ($2::timestamptz, $3::uuid))
     order by job.completed_on desc, job.id desc limit $4::int`,
    job ?? null,
    after?.failedAt ?? null,
    after?.queueJobId ?? null,
    limit + 1,
  )
  const page = rows.slice(0, limit)
  const last = rows.length > limit ? page.at(-1) : undefined
  return {
    deadLetters: page.map(({ queueJobId, name, attempts, enqueuedAt, failedAt, error }) => ({
      queueJobId,
      name,
      attempts,
      enqueuedAt,
      failedAt,
      error,
    })),
    next: last ? { failedAt: last.position, queueJobId: last.queueJobId } : null,
  }
}

/** Of which job a dead letter is; null when there is none with this id. */
export async function findDeadLetterName(
  tx: PrismaTransactionLike,
  queueJobId: string,
): Promise<string | null> {
  const [found] = await tx.$queryRawUnsafe<{ name: string }[]>(
    `select job.name from pgboss.job job where job.id = $1::uuid and ${IS_DEAD_LETTER}`,
    queueJobId,
  )
  return found?.name ?? null
}

/** So that one call ends soon, however many there are. */
const MAX_REDRIVEN = 10_000

export interface RedriveOutcome {
  /** How many went back into the queue. */
  redriven: number
  /**
   * How many did not, since other work of the job with their unique key waits or runs already. They stay what they are.
   */
  alreadyQueued: number
}

/**
 * Gives dead letters of a job back to the queue, with as many attempts as the job grants anew: at most 10,000, the
 * oldest first, so that there may be more. The runs that follow carry who wanted it, and why.
 */
export async function redriveWork(
  tx: PrismaTransactionLike,
  job: Job,
  which: readonly string[] | 'all',
  by: Request,
): Promise<RedriveOutcome> {
  const { actor, reason } = storableActor(by)
  const rows = await tx.$queryRawUnsafe<{ queueJobId: string | null; alreadyQueued: number }[]>(
    REDRIVE_SQL,
    job.name,
    which === 'all' ? null : which,
    job.retry.limit,
    actor,
    reason,
  )
  const targets = rows.flatMap(({ queueJobId }) =>
    queueJobId === null ? [] : [{ name: job.name, queueJobId }],
  )
  await recordActions(tx, 'redrive', targets, { actor, reason })
  return { redriven: targets.length, alreadyQueued: rows[0]?.alreadyQueued ?? 0 }
}

/** The same, for who only wants to know how many were redriven. */
export async function redriveDeadLetters(
  tx: PrismaTransactionLike,
  job: Job,
  which: readonly string[] | 'all',
  request: Request,
): Promise<number> {
  return (await redriveWork(tx, job, which, request)).redriven
}

/**
 * Taken out and put in again, since an update can't pass over a unique key that somebody takes at this moment: what
 * meets one is put back as it was. Keys in order, so that two transactions with the same ones do not wait for each other.
 */
const REDRIVE_SQL = `
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
      -- What has lost its worker runs alone once more, and has all its tries at it anew.
      'data', (letter).data - 'lostAlone' || jsonb_build_object('actor', $4::text, 'reason', $5::text),
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
  select redriven.id::text as "queueJobId", left_out.count::int as "alreadyQueued"
  from (
    select (select count(*) from held) + (select count(*) from kept) as count
  ) left_out left join redriven on true`

/** Removes a dead letter for good. What its runs have recorded stays. */
export async function discardDeadLetter(
  tx: PrismaTransactionLike,
  queueJobId: string,
  by: Actor,
): Promise<'discarded' | 'notFound'> {
  const [discarded] = await tx.$queryRawUnsafe<{ name: string }[]>(
    `delete from pgboss.job where id = $1::uuid and ${IS_DEAD_LETTER} returning name`,
    queueJobId,
  )
  if (!discarded) return 'notFound'
  await recordActions(tx, 'discard', [{ name: discarded.name, queueJobId }], by)
  return 'discarded'
}
