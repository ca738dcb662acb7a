import pg from 'pg'
import type { Details, JobTrigger } from '../index.ts'
import type { WorkLabel } from '../job/labelWork.ts'
import { readLabel, type Envelope } from './envelope.ts'
import type { Connection, PreparedStatement } from './database.ts'
import { aliveSql } from '../liveness/whoIsLost.ts'
import { labelOf, shownOf } from './labelSql.ts'
import { isPausedSql } from './queueSql.ts'
import { isDelayedSql, MAY_START, retries, writeOutLostClaims } from './starts.ts'

/*
 * A claim is a row of JobClaim that lists written runs, or a row of JobStart that lists unwritten ones (starts.ts); after
 * a start was written out in part, it is both, under one id.
 *
 *   asked    No row yet. The worker chose the id; the claim's statement makes it held, or leaves nothing. When no answer
 *            comes, the worker asks settleClaims, which finds it held or makes it closed.
 *   held     The worker carries out its runs. The settler deletes the row with the group that settles the last of them, or
 *            with the next group. performSuspect moves a run into a claim of its own, or gives it back. Where the run of an
 *            exclusive job has expired, the next claim of its work, or a round, deletes the row.
 *   closed   A row with no runs: a late statement with the same id fails on it. dropClosedClaims deletes it after 10
 *            minutes; the rescue does when the worker is gone.
 *   lost     The worker does not live (whoIsLost.ts). A round of any other worker ends the runs, gives their work back and
 *            deletes the row (rescue.ts); a run it could not end keeps the row until the next round.
 */

/** What a worker asks for of one job. */
export interface ClaimRequest {
  /** Chosen by the worker, so that it finds the claim again when no answer came. */
  claimId: string
  name: string
  /** Takes at most so many pieces of work. */
  limit: number
  /** No two claims have the same key. Set for jobs of which one run may be under way at a time; their limit is 1. */
  exclusiveKey: string | null
  /** After so many seconds the queue takes the attempt for hung. Default: what the work was enqueued with. */
  expireSeconds?: number
  /** Whether the job's last claim was answered in full. Default: no. */
  hasBacklog?: boolean
  /** Whether the claim may take work as a start, whose runs are written when they end. Default: no. */
  mayStart?: boolean
}

/** A run as it is recorded before its handler starts. */
export interface NewRun extends WorkLabel {
  id: string
  name: string
  trigger: JobTrigger
  attempt: number
  /** How often the queue gives its work out again if this attempt fails. */
  retriesLeft: number
  scheduledFor: Date | null
  startedAt: Date
  dryRun: boolean
  actor: string | null
  reason: string | null
  /** Null when it did not come from the queue. */
  queueJobId: string | null
}

/** A claim that this worker holds, and how many of its runs it has not settled yet. */
export interface HeldClaim {
  readonly id: string
  open: number
  /** Whether JobStart has a row of it: some of its runs were taken without being written. Default: no. */
  hasStart?: boolean
  /** Whether JobClaim may have a row of it: some of its runs were written before their end. Default: yes, without a start. */
  hasClaim?: boolean
  /** When the answer came, by Date.now() and by performance.now(), which does not jump. Absent: long ago. */
  readonly takenAt?: { date: number; monotonic: number }
}

/**
 * A piece of work that this worker has taken, with its run: the first of the four shapes of a run. While its handler runs
 * it is a RunningRun, then an EndedRun, and once the settler has recorded that, a RunEnding.
 */
export interface TakenWork {
  run: NewRun
  /** The claim by which the worker holds it, maybe with other runs. */
  held: HeldClaim
  envelope: Envelope
  /** Only JobStart says that it is under way, as far as this worker knows. Default: JobRun has it. */
  isUnwritten?: boolean
  /** Whether it stored a batch or its progress in its row of JobRun before its end. */
  hasSpoken?: boolean
}

export interface Claimed {
  work: TakenWork[]
  /**
   * False: others cannot see that this worker lives, so the claim took nothing. They would rescue what it took while it
   * carries it out.
   */
  isAlive: boolean
  expired: ExpiredRun[]
}

/** An attempt that a claim ended because it took the same work again. */
export interface ExpiredRun {
  id: string
  name: string
  attempt: number
  dryRun: boolean
  startedAt: Date
}

/** Another claim has the same exclusive key, or another run has the same id: the claim took nothing. */
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
  /** Give first attempts a fresh run id as well, after a primary-key clash. Else their run has the id of their work. */
  hasFreshRunIds: boolean
}

/**
 * Takes work of these jobs, records its runs and claims them for the worker, in one statement. A worker killed before the
 * commit has taken nothing; one killed after it leaves a claim by which the rescue finds the runs.
 * The statement asks first, and once, whether others can see that the worker lives. If they cannot a moment later, the
 * rescue gives the work to another worker, and the run here can commit nothing more.
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
 * Finds what these claims took when their answers never came. It inserts an empty claim under each id: the insert waits
 * for a statement that PostgreSQL still carries out, and a statement that comes later fails on it. So a claim that took
 * nothing by now never will. dropClosedClaims deletes the empty claims.
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

/** Far longer than the half minute after which a statement is cancelled: one may still have been on its way to the server. */
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
  /** The id of the work. Null in the only row of the answer that says that this worker is not alive. */
  id: string | null
  /** Null where the run has the id of the work. */
  runId: string | null
  /** Absent when the claim asked for one job. */
  name?: string
  envelope: Envelope
  attempt: number
  retriesLeft: number
  /** Whether JobRun has the run. Absent: yes. */
  isWritten?: boolean
  /** Every row carries the same list. */
  expired?: (Omit<ExpiredRun, 'startedAt'> & { startedAt: string })[] | null
}

/** Keyed by job name: a claim asks for each job once. */
function openClaims(
  requests: readonly ClaimRequest[],
  taken: Pick<HeldClaim, 'takenAt'> = {},
): Map<string, HeldClaim> {
  return new Map(requests.map(({ name, claimId }) => [name, { id: claimId, open: 0, ...taken }]))
}

/** Turns a row that the claim's statement returned into work for a lane, and counts it to its claim. */
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
  error: {
    code: 'expired',
    message: 'The run was still running when the queue gave out its work again',
  },
} satisfies Details)

const OTHER_TRIGGERS = `'schedule', 'manual', 'cli'`
const DAY_OF_YEAR =
  '(0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8])'
const LEAP_YEAR = '[1-9]\\d(0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00'
const TIME = '([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d[.]\\d{3}'
/** Matches what PostgreSQL can cast to an instant. Any other text would fail the statement, and with it the whole claim. */
export const INSTANT = `^([1-9]\\d{3}-(${DAY_OF_YEAR})|(${LEAP_YEAR})-02-29)T${TIME}Z$`

interface ClaimSql {
  /** Selects the requests as rows, beside `alive`. `name` is the expression for the job of each. */
  wanted: string
  name: string
  /** The condition on `job` that it is work whose ids `ids` selects from `next`. */
  isTaken: (ids: string) => string
  isOneJob: boolean
}

/**
 * Does what pg-boss's fetch does, but always by an index. pg-boss's own joins the table with what it found, and PostgreSQL
 * then reads the whole table at every batch as soon as a batch is more than a few per cent of it.
 *
 * The run of a first attempt has the id of its work: it sorts by time and need not be made. The claim first ends an
 * earlier attempt that still counts as running, whose work the queue gave out again because it exceeded every limit: that
 * attempt must commit nothing more, and may hold the exclusive key that the new one needs.
 *
 * The job as this worker knows it says how long the attempt may take, not the job as it was when the work was enqueued.
 * Work that would become a dead letter gets `deletion_seconds` 0, so that it stays even where pg-boss itself gives it up.
 * A row without an envelope, which somebody sent by pg-boss itself, is taken as a payload: the job's schema judges it.
 *
 * Work that may start without being written moves from the queue to JobStart: see starts.ts. No worker takes work of a
 * paused queue: a claim that begins after the pause has committed sees it.
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

/** Workers of older versions do not read JobStart: while one has a row, even one that was killed, claims write runs at once. */
const ALL_READ_STARTS = `not exists (select from "JobWorker" older where not older."readsStarts")`
/** The queue's retry settings: writing a run out restores its work with these, so work with others is no start. */
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
 * For one row the general plan is as cheap as one for these values, so PostgreSQL keeps it. Planning takes twice as long
 * as taking a piece of work.
 */
const CLAIM_FEW: PreparedStatement = {
  name: 'roundsman_claim_few',
  text: claimSql({ wanted: FIRST_REQUEST, name: FIRST_NAME, isTaken, isOneJob: true }),
}
/**
 * For rows from arrays PostgreSQL plans each time, by the queue's size at that moment. A plan that it kept from an empty
 * queue would read all of a full one.
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
    // Arrays, and the state as a text, keep PostgreSQL to the primary key. If two jobs have work of one id, the claim may
    // take either, but none twice.
    isTaken: (
      ids,
    ) => `job.name = any(array(select distinct name from next)) and job.id = any(array(${ids}))
      and job.state::text in ('created', 'retry')`,
    isOneJob: false,
  }),
}
