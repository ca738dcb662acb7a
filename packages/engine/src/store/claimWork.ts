import pg from 'pg'
import type { Details, JobTrigger } from '../index.ts'
import type { WorkLabel } from '../job/labelWork.ts'
import { readLabel, type Envelope } from './envelope.ts'
import type { Connection, PreparedStatement } from './database.ts'
import { aliveSql } from '../liveness/whoIsLost.ts'
import { labelOf, shownOf } from './labelSql.ts'
import { isPausedSql } from './queueSql.ts'
import { isDelayedSql, MAY_START, retries, writeOutLostClaims } from './starts.ts'

/** What a worker wants of one job. */
export interface ClaimRequest {
  /** Chosen by the worker: by it a claim is found again whose answer never came. */
  claimId: string
  name: string
  /** Pieces of work at most. */
  limit: number
  /** No two claims carry the same. For jobs of which one run may be under way; their limit is 1. */
  exclusiveKey: string | null
  /** After it the queue takes the attempt for hung. Default: what the work was enqueued with. */
  expireSeconds?: number
  /** Whether the claim before found as many as it asked for. Default: no. */
  hasBacklog?: boolean
  /** Whether what can be is taken as a start, whose runs are written at their end. Default: no. */
  mayStart?: boolean
}

/** A run as it is recorded before its handler starts. */
export interface NewRun extends WorkLabel {
  id: string
  name: string
  trigger: JobTrigger
  attempt: number
  /** How often its work is given out again should this attempt fail. */
  retriesLeft: number
  scheduledFor: Date | null
  startedAt: Date
  dryRun: boolean
  actor: string | null
  reason: string | null
  /** Null when it did not come from the queue. */
  queueJobId: string | null
}

/** A claim that this worker holds, with how many of its runs have not been settled. */
export interface HeldClaim {
  readonly id: string
  open: number
  /** Whether JobStart has it: some of its runs were taken without being written. Default: no. */
  hasStart?: boolean
  /** Whether JobClaim may have it: some of them were written before their end. Default, where it has no start: yes. */
  hasClaim?: boolean
  /** When the worker was told of it, by the clock of its machine and by the one that does not jump. Absent: long ago. */
  readonly takenAt?: { date: number; monotonic: number }
}

/**
 * A piece of work that a worker has taken, with the run that was recorded for it: the first of the four shapes that a run
 * has on its way. While its handler is called it is a RunningRun, then an EndedRun, and once that is recorded a RunEnding.
 */
export interface TakenWork {
  run: NewRun
  /** By which the worker holds it, maybe with others. */
  held: HeldClaim
  envelope: Envelope
  /** Its start alone says that it is under way, as far as this worker knows. Default: it is written. */
  isUnwritten?: boolean
  /** Whether it has said something that is kept in its row, before its end. */
  hasSpoken?: boolean
}

export interface Claimed {
  work: TakenWork[]
  /**
   * False: nobody can see that this worker lives, so nothing was taken. What it took would be given to others while it
   * is carried out.
   */
  isAlive: boolean
  expired: ExpiredRun[]
}

/** An attempt that was ended because its work was given out again. */
export interface ExpiredRun {
  id: string
  name: string
  attempt: number
  dryRun: boolean
  startedAt: Date
}

/** Why nothing was taken. */
export class ClaimConflict extends Error {
  override readonly name = 'ClaimConflict'
  readonly kind: 'exclusiveKey' | 'runId'
  constructor(kind: ClaimConflict['kind'], cause: unknown) {
    super(`Another claim or run has the same ${kind}`, { cause })
    this.kind = kind
  }
}

export interface ClaimOptions {
  workerId: string
  requests: readonly ClaimRequest[]
  startedAt: Date
  /** Of first attempts too: not the ids of their work. */
  hasFreshRunIds: boolean
}

/**
 * Takes work of these jobs, records its runs, and notes that the worker holds them, with one statement. Killed
 * before it has committed, nothing was taken; killed after it, there is a claim by which the rescue finds the runs.
 * It asks first, and once, whether others can see that the worker lives. Where that ends a moment later, the work is
 * given to another, and what the run here does after that is fenced off.
 * @throws ClaimConflict
 */
export async function claimWork(
  connection: Connection,
  { workerId, requests, startedAt, hasFreshRunIds }: ClaimOptions,
): Promise<Claimed> {
  const [first] = requests
  if (first === undefined) return { work: [], isAlive: true, expired: [] }
  try {
    const { rows } = await connection.query<TakenRow>(
      requests.length > 1 ? CLAIM_MANY : first.hasBacklog ? CLAIM_BACKLOG : CLAIM_FEW,
      [
        requests.map(({ name }) => name),
        requests.map(({ limit }) => limit),
        requests.map(({ exclusiveKey }) => exclusiveKey),
        requests.map(({ claimId }) => claimId),
        startedAt,
        workerId,
        hasFreshRunIds,
        EXPIRED,
        requests.map(({ expireSeconds = null }) => expireSeconds),
        requests.map(({ mayStart = false }) => mayStart && !hasFreshRunIds),
      ],
    )
    if (rows[0]?.id === null) return { work: [], isAlive: false, expired: [] }
    const takenAt = { date: Date.now(), monotonic: performance.now() }
    const held = openClaims(requests, { takenAt })
    return {
      work: rows.map((row) => toTakenWork(row, row.name ?? first.name, startedAt, held)),
      isAlive: true,
      expired: (rows[0]?.expired ?? []).map((run) => ({
        ...run,
        startedAt: new Date(run.startedAt),
      })),
    }
  } catch (error) {
    switch (error instanceof pg.DatabaseError ? error.constraint : undefined) {
      case 'JobClaim_exclusiveKey_key':
        throw new ClaimConflict('exclusiveKey', error)
      case 'JobRun_pkey':
        throw new ClaimConflict('runId', error)
      default:
        throw error
    }
  }
}

/**
 * What these claims took hold of, whose answer never came; nothing where they did not, and then they never will. An
 * empty claim takes the place of each: it waits for a statement that PostgreSQL still carries out without anybody who
 * hears its answer, or that one fails when it comes to its end. Once none can be under way, it may go: see
 * dropClosedClaims.
 */
export async function settleClaims(
  connection: Connection,
  workerId: string,
  requests: readonly ClaimRequest[],
): Promise<TakenWork[]> {
  const claimIds = requests.map(({ claimId }) => claimId)
  await connection.query(
    `with closed as (
       insert into "JobClaim" ("id", "name", "workerId", "runIds")
       select id, name, $3, '{}' from unnest($1::uuid[], $2::text[]) as claim(id, name)
       on conflict ("id") do nothing
     )
     insert into "JobStart" ("id", "name", "workerId", "startedAt", "retryLimit", "runIds")
     select id, name, $3, now(), 0, '{}' from unnest($1::uuid[], $2::text[]) as claim(id, name)
     on conflict ("id") do nothing`,
    [claimIds, requests.map(({ name }) => name), workerId],
  )
  await writeOutLostClaims(connection, claimIds)
  const { rows } = await connection.query<TakenRow & { name: string; startedAt: Date }>(
    `select run."queueJobId" as "id", run."id" as "runId", run."name", job.data as "envelope", run."attempt",
            greatest(0, job.retry_limit - job.retry_count) as "retriesLeft", run."startedAt"
     from "JobClaim" claim
       cross join unnest(claim."runIds") held(id)
       join "JobRun" run on run."id" = held.id
       join pgboss.job job on job.name = run."name" and job.id = run."queueJobId"
     where claim."id" = any($1) and run."status" = 'running'`,
    [claimIds],
  )
  const held = openClaims(requests)
  return rows.map((row) => toTakenWork(row, row.name, row.startedAt, held))
}

/** A statement is cancelled after half a minute. This is for what may have been on its way to the server. */
const CLOSED_FOR_MINUTES = 10

/** Removes the empty claims by which a worker has closed others: no statement can still carry the same id. */
export async function dropClosedClaims(connection: Connection, workerId: string): Promise<void> {
  for (const table of ['"JobClaim"', '"JobStart"']) {
    await connection.query(
      `delete from ${table} where "workerId" = $1 and "runIds" = '{}'
         and "createdAt" < now() - interval '${CLOSED_FOR_MINUTES} minutes'`,
      [workerId],
    )
  }
}

interface TakenRow {
  [column: string]: unknown
  /** Of the work. Null in a row that stands alone: this worker is not alive. */
  id: string | null
  /** Null where it is the same. */
  runId: string | null
  /** Where several jobs were asked for. */
  name?: string
  envelope: Envelope
  attempt: number
  retriesLeft: number
  /** Whether it is written. Absent: yes. */
  isWritten?: boolean
  /** The same in every row. */
  expired?: (Omit<ExpiredRun, 'startedAt'> & { startedAt: string })[] | null
}

/** By the name of the job: each is asked for once. */
function openClaims(
  requests: readonly ClaimRequest[],
  taken: Pick<HeldClaim, 'takenAt'> = {},
): Map<string, HeldClaim> {
  return new Map(requests.map(({ name, claimId }) => [name, { id: claimId, open: 0, ...taken }]))
}

function toTakenWork(
  { id, runId, envelope, attempt, retriesLeft, isWritten = true }: TakenRow,
  name: string,
  startedAt: Date,
  claims: ReadonlyMap<string, HeldClaim>,
): TakenWork {
  const held = claims.get(name) as HeldClaim
  held.open++
  if (isWritten) held.hasClaim = true
  else held.hasStart = true
  const { trigger, scheduledFor, dryRun = false, actor = null, reason = null } = envelope
  return {
    held,
    envelope,
    ...(!isWritten && { isUnwritten: true }),
    run: {
      id: (runId ?? id) as string,
      name,
      trigger,
      attempt,
      retriesLeft,
      scheduledFor: scheduledFor === undefined ? null : new Date(scheduledFor),
      startedAt,
      dryRun,
      actor,
      reason,
      queueJobId: id,
      ...readLabel(envelope),
    },
  }
}

const EXPIRED = JSON.stringify({
  error: { code: 'expired', message: 'It was still running when its work was given out again' },
} satisfies Details)

const OTHER_TRIGGERS = `'schedule', 'manual', 'cli'`
const DAY_OF_YEAR =
  '(0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8])'
const LEAP_YEAR = '[1-9]\\d(0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00'
const TIME = '([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d[.]\\d{3}'
/** What else a text may hold would fail the statement, and with it the claim of all the others. */
export const INSTANT = `^([1-9]\\d{3}-(${DAY_OF_YEAR})|(${LEAP_YEAR})-02-29)T${TIME}Z$`

interface ClaimSql {
  /** The requests as rows, beside `alive`, and the job of each. */
  wanted: string
  name: string
  /** Of the work whose ids `ids` selects from `next`. */
  isTaken: (ids: string) => string
  isOneJob: boolean
}

/**
 * What pg-boss's fetch does, but found by the index in any case. Its own joins the table with what it has found,
 * for which PostgreSQL reads the whole table as soon as that is worth more than a few per cent of it, at every batch.
 *
 * The run of a first attempt has the id of its work, which sorts by time and need not be made. An earlier attempt that
 * still counts as running (the queue has given the work out again because it exceeded every limit) is ended first, and
 * must commit nothing more; it may hold the key that the new one needs.
 *
 * How long the attempt may take is told by the job as this worker knows it, and not as it was when the work was
 * enqueued. What would be a dead letter is kept, also where pg-boss itself gives it up. What somebody has sent by other
 * means, without an envelope, is taken for a payload: its schema judges it, and it stands in nobody's way.
 *
 * What may start without being written leaves the queue for JobStart: see starts.ts. Of a job whose queue is paused
 * nothing is taken, by whichever worker: a claim that begins after the pause has committed sees it.
 */
function claimSql({ wanted, name, isTaken, isOneJob }: ClaimSql): string {
  return `
  with alive as materialized (
    ${aliveSql('$6')}
  ), wanted as materialized (
    ${wanted} where alive."isAlive" and not ${isPausedSql(name)}
  ), next as materialized (
    select job.id, job.name, job."isStart" from wanted cross join lateral (
      select job.id, job.name, wanted."mayStart" and ${MAY_START} as "isStart"
      from pgboss.job job
      where job.name = wanted.name and job.state < 'active' and not job.blocked and job.start_after <= now()
        and (wanted."exclusiveKey" is null or job.data -> 'dryRun' = 'true' or not exists (
          select from "JobClaim" other left join "JobRun" run on run."id" = other."runIds"[1]
          where other."exclusiveKey" = wanted."exclusiveKey"
            and (run."queueJobId" is distinct from job.id or run."status" <> 'running')
        ))
      order by job.priority desc, job.created_on
      limit wanted."limit"
      for update skip locked
    ) job
  ), taken as (
    update pgboss.job job
    set state = 'active', started_on = now(), heartbeat_on = now(),
        retry_count = retry_count + case when started_on is null then 0 else 1 end,
        expire_seconds = coalesce((select wanted."expireSeconds" from wanted where wanted.name = job.name), expire_seconds),
        deletion_seconds = case when job.data ->> 'trigger' in (${OTHER_TRIGGERS}) then deletion_seconds else 0 end,
        data = case when job.data ->> 'trigger' in ('queue', ${OTHER_TRIGGERS}) then job.data
               else jsonb_build_object('trigger', 'queue', 'payload', coalesce(job.data, '{}')) end
    where ${isTaken('select id from next where "isStart" is not true')}
    returning job.id, job.name, job.data, job.retry_count, job.created_on, job.start_after, greatest(0, job.retry_limit - job.retry_count) as "retriesLeft",
              case when job.retry_count = 0 and not $7::bool then job.id else gen_random_uuid() end as "runId"
  ), expired as (
    update "JobRun" run
    set "status" = 'failed', "endedAt" = $5, "errorCode" = 'expired',
        "details" = coalesce(run."details", '{}') || $8::jsonb
    where run."status" = 'running' and run."id" = any(array(
      select earlier."id" from taken join "JobRun" earlier on earlier."queueJobId" = taken.id
      where taken.retry_count > 0
    ))
    returning run."id", run."name", run."attempt", run."dryRun", run."startedAt"
  ), freed as (
    delete from "JobClaim" claim
    where claim."exclusiveKey" is not null and claim."runIds" && array(select "id" from expired)
    returning claim."id"
  ), recorded as (
    insert into "JobRun" ("id", "name", "trigger", "attempt", "scheduledFor", "startedAt", "dryRun", "actor", "reason",
                          "queueJobId", "workerId", "label", "shown", "dueAt")
    select taken."runId", taken.name, (taken.data ->> 'trigger')::"JobTrigger",
           taken.retry_count + 1,
           case when taken.data ->> 'scheduledFor' ~ '${INSTANT}' then (taken.data ->> 'scheduledFor')::timestamptz end, $5,
           coalesce(taken.data -> 'dryRun' = 'true', false), taken.data ->> 'actor', taken.data ->> 'reason', taken.id, $6,
           ${labelOf('taken.data')}, ${shownOf('taken.data')},
           case when taken.retry_count > 0 or ${isDelayedSql('taken')} then taken.start_after end
    from taken
    returning "id", "name", "dryRun"
  ), claimed as (
    insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "runIds")
    select wanted."claimId", wanted.name, $6,
           case when not bool_or(recorded."dryRun") then wanted."exclusiveKey" end, array_agg(recorded."id")
    from recorded join wanted on wanted.name = recorded."name"
    -- After what held its key is gone.
    where (select count(*) from freed) >= 0
    group by wanted."claimId", wanted.name, wanted."exclusiveKey"
    -- All in the same order, so that two claims that meet at two keys do not wait for each other.
    order by wanted."exclusiveKey"
  ), started as (
    delete from pgboss.job job
    where ${isTaken('select id from next group by id having bool_and("isStart")')}
    returning job.id, job.name, job.data, job.created_on, job.retry_limit
  ), start as (
    insert into "JobStart" ("id", "name", "workerId", "startedAt", "expireSeconds", "retryLimit", "runIds", "envelopes",
                            "enqueuedAt")
    select wanted."claimId", wanted.name, $6, $5, wanted."expireSeconds", wanted."retryLimit", array_agg(started.id),
           array_agg(started.data), array_agg(started.created_on)
    from started join wanted on wanted.name = started.name
    group by wanted."claimId", wanted.name, wanted."expireSeconds", wanted."retryLimit"
  )
  select id::text as "id", nullif("runId", id)::text as "runId", ${isOneJob ? '' : 'name,'} data as "envelope",
         retry_count + 1 as "attempt", "retriesLeft", true as "isWritten",
         (select jsonb_agg(expired) from expired) as "expired"
  from taken
  union all
  select id::text, null, ${isOneJob ? '' : 'name,'} data, 1, retry_limit, false, null from started
  union all
  select null, null, ${isOneJob ? '' : 'null,'} null, null, null, null, null from alive where not "isAlive"`
}

/** Older workers do not read starts: while the row of one is there, also of one that was killed, runs are written at once. */
const ALL_READ_STARTS = `not exists (select from "JobWorker" older where not older."readsStarts")`
/** What is written out gets what its queue says of retries. */
const RETRIES = (name: string) => `
           (select queue.retry_limit from pgboss.queue queue where queue.name = ${name}) as "retryLimit",
           (select concat_ws(' ', ${retries('queue')}) from pgboss.queue queue where queue.name = ${name}) as "retries"`
const REQUESTS = `
    select wanted.name, wanted."limit", wanted."exclusiveKey", wanted."claimId", wanted."expireSeconds",
           wanted."mayStart" and ${ALL_READ_STARTS} as "mayStart", ${RETRIES('wanted.name')}
    from alive cross join unnest($1::text[], $2::int[], $3::text[], $4::uuid[], $9::int[], $10::bool[])
      as wanted(name, "limit", "exclusiveKey", "claimId", "expireSeconds", "mayStart")`
const FIRST_NAME = '($1::text[])[1]'
const FIRST_REQUEST = `
    select ${FIRST_NAME} as name, ($2::int[])[1] as "limit", ($3::text[])[1] as "exclusiveKey",
           ($4::uuid[])[1] as "claimId", ($9::int[])[1] as "expireSeconds", ($10::bool[])[1] and ${ALL_READ_STARTS} as "mayStart",
           ${RETRIES(FIRST_NAME)}
    from alive`
const isTaken = (ids: string) => `job.name = ${FIRST_NAME} and job.id = any(array(${ids}))`

/**
 * One row makes the general plan as cheap as one for these very values, so PostgreSQL keeps it: planning takes twice
 * as long as taking a piece of work.
 */
const CLAIM_FEW: PreparedStatement = {
  name: 'roundsman_claim_few',
  text: claimSql({ wanted: FIRST_REQUEST, name: FIRST_NAME, isTaken, isOneJob: true }),
}
/**
 * For rows that come out of arrays, PostgreSQL plans each time, by how large the queue is now. A plan that was made
 * while it was empty reads all of it.
 */
const CLAIM_BACKLOG: PreparedStatement = {
  name: 'roundsman_claim_backlog',
  text: claimSql({ wanted: REQUESTS, name: 'wanted.name', isTaken, isOneJob: true }),
}
const CLAIM_MANY: PreparedStatement = {
  name: 'roundsman_claim_many',
  text: claimSql({
    wanted: REQUESTS,
    name: 'wanted.name',
    // Arrays, and the state as a text, keep PostgreSQL to the primary key. Should two jobs have work of one id, that of
    // either may be taken here, but none twice.
    isTaken: (
      ids,
    ) => `job.name = any(array(select distinct name from next)) and job.id = any(array(${ids}))
      and job.state::text in ('created', 'retry')`,
    isOneJob: false,
  }),
}
