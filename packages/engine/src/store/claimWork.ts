import pg from 'pg'
import type { Details, JobTrigger } from '../job/handler.ts'
import type { WorkLabel } from '../job/labelWork.ts'
import { readLabel, type Envelope } from './envelope.ts'
import { CLAIM_BACKLOG, CLAIM_FEW, CLAIM_MANY } from './claimSql.ts'
import type { Connection, PreparedStatement } from './database.ts'
import { GIVES_WAY } from './giveWay.ts'
import { writeOutLostClaims } from './starts.ts'

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
  workId: string | null
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
  /** How many bytes its envelope may have. Default: few. */
  bytes?: number
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
  /** Whether more was found than one claim may bring, by its bytes. Default: no. */
  isCut?: boolean
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

const EXPIRED_DETAILS = JSON.stringify({
  error: {
    code: 'expired',
    message: 'The run was still running when the queue gave out its work again',
  },
} satisfies Details)

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
export async function claimWork(connection: Connection, options: ClaimOptions): Promise<Claimed> {
  const { requests, startedAt } = options
  const [first] = requests
  if (first === undefined) return { work: [], isAlive: true, expired: [] }
  const rows = await queryClaim(connection, chooseStatement(requests), options)
  const [firstRow] = rows
  if (firstRow?.id === null) return { work: [], isAlive: false, expired: [] }
  const takenAt = { date: Date.now(), monotonic: performance.now() }
  const claims = openClaims(requests, { takenAt })
  return {
    work: rows.map((row) => toTakenWork(row, row.name ?? first.name, startedAt, claims)),
    isAlive: true,
    isCut: firstRow?.isCut ?? false,
    expired: (firstRow?.expired ?? []).map((run) => ({
      ...run,
      startedAt: new Date(run.startedAt),
    })),
  }
}

function chooseStatement([first, ...others]: readonly ClaimRequest[]): PreparedStatement {
  if (others.length > 0) return CLAIM_MANY
  return first?.hasBacklog ? CLAIM_BACKLOG : CLAIM_FEW
}

/** @throws ClaimConflict */
async function queryClaim(
  connection: Connection,
  statement: PreparedStatement,
  { workerId, requests, startedAt, hasFreshRunIds }: ClaimOptions,
): Promise<TakenRow[]> {
  try {
    const { rows } = await connection.query<TakenRow>(statement, [
      requests.map(({ name }) => name),
      requests.map(({ limit }) => limit),
      requests.map(({ exclusiveKey }) => exclusiveKey),
      requests.map(({ claimId }) => claimId),
      startedAt,
      workerId,
      hasFreshRunIds,
      EXPIRED_DETAILS,
      requests.map(({ expireSeconds = null }) => expireSeconds),
      // A start has no room for run ids beside those of its work.
      requests.map(({ mayStart = false }) => mayStart && !hasFreshRunIds),
    ])
    return rows
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
 * Finds what these claims took when their answers never came. A claim that took nothing by now never will, since it is
 * closed first.
 */
export async function settleClaims(
  connection: Connection,
  workerId: string,
  requests: readonly ClaimRequest[],
): Promise<TakenWork[]> {
  const claimIds = requests.map(({ claimId }) => claimId)
  const names = requests.map(({ name }) => name)
  await connection.query(CLOSE_CLAIMS_SQL, [claimIds, names, workerId])
  await writeOutLostClaims(connection, claimIds)
  const { rows } = await connection.query<TakenRow & { name: string; startedAt: Date }>(
    WORK_OF_CLAIMS_SQL,
    [claimIds],
  )
  const claims = openClaims(requests)
  return rows.map((row) => toTakenWork(row, row.name, row.startedAt, claims))
}

/**
 * Inserts an empty claim under each id: the insert waits for a statement that PostgreSQL still carries out, and a statement
 * that comes later fails on it. dropClosedClaims deletes the empty claims.
 */
const CLOSE_CLAIMS_SQL = `
  with closed as (
    insert into "JobClaim" ("id", "name", "workerId", "runIds")
    select id, name, $3, '{}' from unnest($1::uuid[], $2::text[]) as claim(id, name)
    on conflict ("id") do nothing
  )
  insert into "JobStart" ("id", "name", "workerId", "startedAt", "retryLimit", "runIds")
  select id, name, $3, now(), 0, '{}' from unnest($1::uuid[], $2::text[]) as claim(id, name)
  on conflict ("id") do nothing`

/** The work whose written runs these claims hold. */
const WORK_OF_CLAIMS_SQL = `
  select run."workId" as "id", run."id" as "runId", run."name", job.data as "envelope", run."attempt",
         greatest(0, job.retry_limit - job.retry_count) as "retriesLeft", run."startedAt"
  from "JobClaim" claim
    cross join unnest(claim."runIds") held(id)
    join "JobRun" run on run."id" = held.id
    join pgboss.job job on job.name = run."name" and job.id = run."workId"
  where claim."id" = any($1) and run."status" = 'running'`

/** Far longer than the half minute after which a statement is cancelled: one may still have been on its way to the server. */
const CLOSED_FOR_MINUTES = 10

/** Removes the empty claims by which a worker has closed others: no statement can still carry the same id. */
export async function dropClosedClaims(connection: Connection, workerId: string): Promise<void> {
  for (const table of ['"JobClaim"', '"JobStart"']) {
    await connection.query(
      `delete from ${table} where "workerId" = $1 and "runIds" = '{}' and ${GIVES_WAY}
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
  /** Null for a start, which is short. */
  bytes?: number | null
  /** Every row says the same. */
  isCut?: boolean | null
  /** Every row carries the same list. */
  expired?: (Omit<ExpiredRun, 'startedAt'> & { startedAt: string })[] | null
}

/** The claims of these requests, keyed by the job's name: no two requests are for one job. */
function openClaims(
  requests: readonly ClaimRequest[],
  taken: Pick<HeldClaim, 'takenAt'> = {},
): Map<string, HeldClaim> {
  return new Map(requests.map(({ name, claimId }) => [name, { id: claimId, open: 0, ...taken }]))
}

/** Turns a row that the claim's statement returned into work for a lane, and counts it to its claim. */
function toTakenWork(
  { id, runId, envelope, attempt, retriesLeft, isWritten = true, bytes }: TakenRow,
  name: string,
  startedAt: Date,
  claims: ReadonlyMap<string, HeldClaim>,
): TakenWork {
  const held = claims.get(name) as HeldClaim
  held.open += 1
  if (isWritten) held.hasClaim = true
  else held.hasStart = true
  const { trigger, scheduledFor, dryRun = false, actor = null, reason = null } = envelope
  return {
    held,
    envelope,
    ...(!isWritten && { isUnwritten: true }),
    ...(bytes && { bytes }),
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
      workId: id,
      ...readLabel(envelope),
    },
  }
}
