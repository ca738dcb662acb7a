import pg from 'pg'
import type { RetryPolicy } from '../job/defineJob.ts'
import type { Logger } from '../job/logger.ts'
import { decideNext, type AfterFailure } from '../run/afterFailure.ts'
import type { Observers } from '../run/combineObservers.ts'
import { DRAINED, WORKER_LOST } from '../run/performRun.ts'
import type { Database } from '../database/database.ts'
import { endRuns, type End } from '../queue/endRuns.ts'
import { HELD_COLUMNS, heldSql, hasNotEnded } from '../queue/heldRuns.ts'
import { NO_FACTS, NO_FAILURES, type Taken } from '../queue/taken.ts'
import type { Holdings } from '../work/holdings.ts'
import { isAliveSql } from '../database/workerLock.ts'
import { findLostClaims, gaveSignSql, type LostClaim } from '../queue/lostClaims.ts'

/** A run under way whose worker cannot end it. */
interface LostRun extends Pick<
  Taken,
  'id' | 'name' | 'attempt' | 'startedAt' | 'origin' | 'failures' | 'losses' | 'lossesAlone'
> {
  claimId: string
  facts: Taken['facts'] | null
  workerId: string
  /** Whether it has stored a memo of a step. */
  hasNewMemo: boolean
  /** Whether its work has begun a step, or its cancellation is requested. Durable work is then cancelled although its worker died. */
  isDurable: boolean
  /** No other run was under way in its worker's process. */
  wasAlone: boolean
  hasProgress: boolean
}

/** How long a worker is connected before it rescues: after a restart of PostgreSQL the others have to come back first. */
export const RESCUE_GRACE_MS = 2_000
const MAX_RESCUES = 500
/** For so long a round ends runs. Locks of others may make each statement take half a second. */
const MAX_RESCUE_MS = 2_000

/**
 * Locks the claims `$1`, and reads their runs under way; only the runs `$2`, unless that is null. It waits for no lock: it skips
 * claims that another rescue has locked, and runs with a locked row, as by a transaction that a dead process left open.
 * Race: packages/engine/test/liveness/rescue.test.ts "leaves a run as it is whose end its look could not see"
 */
const LOST_RUNS_SQL = `
  with claim as materialized (
    select * from "JobClaim" where "id" = any($1::uuid[]) order by "id" for update skip locked
  ), held as materialized (
    select ${HELD_COLUMNS} from claim ${heldSql()} where $2::uuid[] is null or held."runId" = any($2::uuid[])
  ), written as materialized (
    select run."id", run."status", run."batchMarks" is not null as "hasProgress" from "JobRun" run
    where run."id" = any(array(select "runId" from held))
  ), free as materialized (
    select "id" from "JobRun" where "id" = any(array(select "id" from written where "status" = 'running')) for update skip locked
  )
  select held."runId"::text as "id", held."claimId"::text as "claimId", held."name", held."attempt", held."workerId", held."startedAt",
         held."facts", held."isAlone" as "wasAlone", held."origin", held."failures", held."losses", held."lossesAlone",
         coalesce(written."hasProgress", false) as "hasProgress",
         exists (
           select from "JobStep" step
           where step."workId" = held."workId" and step."runId" = held."runId" and step."endedAt" is not null
         ) as "hasNewMemo", exists (select from "JobStep" step where step."workId" = held."workId")
           or exists (select from "JobCancel" cancel where cancel."runId" = held."runId") as "isDurable"
  from held left join written on written."id" = held."runId"
  where written."id" is null or written."id" in (select "id" from free)
  limit ${MAX_RESCUES}`

/**
 * Deletes those of the claims `$1` that have no run under way. The next round finds the others again.
 * Race: packages/engine/test/liveness/rescue.test.ts "leaves a run as it is whose end its look could not see"
 */
const DROP_ENDED_SQL = `
  delete from "JobClaim" where "id" in (
    select claim."id" from "JobClaim" claim
    where claim."id" = any($1::uuid[])
      and not exists (select from unnest(claim."runIds") as held(id) where ${hasNotEnded('held.id')})
    for update skip locked
  )`

interface RescueOptions {
  database: Database
  log: Logger
  now: () => Date
  observers?: Observers | undefined
}

/** Finds what dead workers held and rescues it. */
export async function rescueLostRuns(
  options: RescueOptions & { workerId: string },
): Promise<LostRun[]> {
  return await rescueClaims(options, await findLostClaims(options.database, options.workerId))
}

/** Ends the runs of dead workers as failed with code `worker_lost` and gives their work back to the queue. */
export async function rescueClaims(
  options: RescueOptions,
  claims: readonly LostClaim[],
): Promise<LostRun[]> {
  const { log, observers } = options
  return await endClaims(options, ofWorkers(claims), {
    errorOf: ({ workerId }) => ({
      code: WORKER_LOST,
      message: `Worker ${workerId} died while it executed this run`,
    }),
    // A payload that kills its worker alone must not be delivered without end.
    after: ({ wasAlone }) => (wasAlone ? 'lostAlone' : 'lost'),
    retryOf: () => NO_RETRIES,
    onEnded(run) {
      const { id, name, attempt, workerId: lostWorkerId, wasAlone } = run
      log.warn({ name, runId: id, attempt, lostWorkerId, wasAlone }, 'job run rescued')
      observers?.runRescued(toObserved(run))
    },
  })
}

/** The retry policy does not apply to lost workers. */
const NO_RETRIES: RetryPolicy = { limit: 0, delayMs: 0, maxDelayMs: 0 }

/** The claim's worker is dead, and not on the list of workers. No other part of the rescue finds such a claim. */
const IS_GONE = `(worker."id" is null and claim."workerId" <> $1 and not ${isAliveSql('claim."workerId"')})`

/**
 * Claims whose worker is gone, expired or not: the loss of a worker costs no retry. Also the expired claims of the jobs `$2`, whose
 * retry policies this worker has.
 */
const STALE_CLAIMS_SQL = `
  select claim."id"::text as "id", claim."name", claim."workerId", ${IS_GONE} as "isGone",
         coalesce(${gaveSignSql('worker')}, false) as "gaveSign",
         (extract(epoch from claim."expiresAt" - claim."createdAt") * 1000)::float8 as "allMs"
  from "JobClaim" claim left join "JobWorker" worker on worker."id" = claim."workerId"
  where (claim."expiresAt" < now() and claim."name" = any($2::text[])) or ${IS_GONE}
  order by random() limit ${MAX_RESCUES}`

interface StaleClaim extends LostClaim {
  [column: string]: unknown
  /** If not, it has expired, and this worker knows its job. */
  isGone: boolean
  /** Whether its worker writes heartbeats. Then the worker ends these runs itself, unless it has forgotten the claim. */
  gaveSign: boolean
  /** How long its runs may take in all. */
  allMs: number
}

/**
 * Ends runs that go on beyond every limit with code `expired`, so that their workers can commit nothing more, and gives their work back.
 * Rescues the runs of dead workers that are not on the list of workers.
 * A database's clock may have stepped ahead, as after a suspend. So while its worker writes heartbeats, a claim counts as expired
 * only after this process has seen it expired for its whole time once more. `expiredSince` has the instants of the first sight, by
 * performance.now(), and is kept for the next call.
 */
export async function endStaleClaims(
  options: RescueOptions & {
    workerId: string
    retryOf: ReadonlyMap<string, RetryPolicy>
    expiredSince: Map<string, number>
  },
): Promise<LostRun[]> {
  const { database, log, observers, workerId, retryOf, expiredSince } = options
  const { rows } = await database.query<StaleClaim>(STALE_CLAIMS_SQL, [
    workerId,
    [...retryOf.keys()],
  ])
  const gone = rows.filter(({ isGone }) => isGone)
  const seenAt = performance.now()
  const seen = rows.map(({ id }): [string, number] => [id, expiredSince.get(id) ?? seenAt])
  expiredSince.clear()
  for (const [id, since] of seen) expiredSince.set(id, since)
  const isHung = ({ id, gaveSign, allMs }: StaleClaim) =>
    !gaveSign || seenAt - (expiredSince.get(id) ?? seenAt) >= allMs
  const expired = rows.filter((claim) => !claim.isGone && isHung(claim))
  const ended = await endClaims(options, ofWorkers(expired), {
    errorOf: () => ({
      code: 'expired',
      message: 'The run was still under way when all the time that its job has was over',
    }),
    after: () => 'retry',
    retryOf: ({ name }) => retryOf.get(name) ?? NO_RETRIES,
    onEnded(run) {
      const { id, name, attempt, workerId: hungWorkerId } = run
      log.warn({ name, runId: id, attempt, hungWorkerId }, 'job run expired')
      observers?.runExpired(toObserved(run))
    },
  })
  return [...ended, ...(await rescueClaims(options, gone))]
}

/** Claims of the worker `$1`, except empty ones, and which of their runs have not ended. */
const OWN_CLAIMS_SQL = `
  select claim."id"::text as "claimId",
         array(select held.id::text from unnest(claim."runIds") as held(id) where ${hasNotEnded('held.id')}) as "runIds"
  from "JobClaim" claim where claim."workerId" = $1 and claim."runIds" <> '{}'`

/**
 * Gives back runs that this worker holds by the database, but not by its own memory. A database that went back has lost
 * the ends of such runs: a standby became the primary without the last commits, or a backup was restored. They may have
 * succeeded, so they cost no retry, and their worker was not lost.
 *
 * It reads the worker's memory after the database has answered, and the rescue looks again after that: a run that started or
 * ended meanwhile is no stray.
 */
export async function giveBackStrays(
  options: RescueOptions & { workerId: string; holdings: Pick<Holdings, 'has' | 'lacks'> },
): Promise<{ ended: LostRun[]; areLeft: boolean }> {
  const { database, log, workerId, holdings } = options
  const { rows } = await database.query<{ claimId: string; runIds: string[] }>(OWN_CLAIMS_SQL, [
    workerId,
  ])
  const strays = rows.flatMap(({ claimId, runIds }) =>
    runIds.filter((id) => holdings.lacks(claimId, id)).map((id) => ({ id, claimId })),
  )
  // Of these nothing is under way. They would keep the next run of an exclusive job from starting.
  const over = rows.filter(({ claimId, runIds }) => runIds.length === 0 && !holdings.has(claimId))
  const groups: Group[] = []
  if (over.length > 0)
    groups.push({ workerId, claimIds: over.map(({ claimId }) => claimId), runIds: [] })
  for (let at = 0; at < strays.length; at += MAX_RESCUES)
    groups.push(toGroup(workerId, strays.slice(at, at + MAX_RESCUES)))
  const ended = await endClaims(options, groups, {
    errorOf: () => ({
      code: DRAINED,
      message:
        'The database has lost the end of this run, as after a fail-over; its work was given back',
    }),
    after: () => 'redeliver',
    retryOf: () => NO_RETRIES,
    onEnded({ id, name, attempt }) {
      log.warn({ name, runId: id, attempt }, 'the end of a job run was lost, giving its work back')
    },
  })
  return { ended, areLeft: strays.length > 0 }
}

/** Runs to end together, of one worker's claims. */
interface Group {
  workerId: string
  claimIds: string[]
  /** Null: all that they hold. */
  runIds: string[] | null
}

const toGroup = (workerId: string, lost: readonly Pick<LostRun, 'id' | 'claimId'>[]): Group => ({
  workerId,
  claimIds: [...new Set(lost.map(({ claimId }) => claimId))],
  runIds: lost.map(({ id }) => id),
})

/** One for each worker, so that a failure holds up no other worker's runs. */
const ofWorkers = (claims: readonly LostClaim[]): Group[] =>
  [...Map.groupBy(claims, ({ workerId }) => workerId)].map(([workerId, own]) => ({
    workerId,
    claimIds: own.map(({ id }) => id),
    runIds: null,
  }))

/** How lost runs end. */
interface LostEnd {
  errorOf: (run: LostRun) => NonNullable<End['error']>
  after: (run: LostRun) => AfterFailure
  retryOf: (run: LostRun) => RetryPolicy
  /** Called once the end is recorded. */
  onEnded: (run: LostRun) => void
}

/** Ends the runs of these groups, one group after the other, except locked runs. */
async function endClaims(
  { database, log, now }: RescueOptions,
  groups: Group[],
  { errorOf, after, retryOf, onEnded }: LostEnd,
): Promise<LostRun[]> {
  const ended: LostRun[] = []
  const until = performance.now() + MAX_RESCUE_MS
  // A group that fails is divided, and its parts come after all other groups. The next round finds the rest.
  for (const group of groups) {
    if (performance.now() > until) break
    let lost: readonly LostRun[] = []
    try {
      await database.transaction(async (tx) => {
        lost = (await tx.query<LostRun>(LOST_RUNS_SQL, [group.claimIds, group.runIds])).rows
        const endedAt = now()
        const ends = lost.map((run) => toEnd(run, endedAt))
        const recorded = ends.length === 0 ? new Map() : await endRuns(tx, group.workerId, ends)
        await tx.query(DROP_ENDED_SQL, [group.claimIds])
        lost = lost.filter(({ id }) => recorded.has(id))
      })
      ended.push(...lost)
      for (const run of lost) onEnded(run)
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error
      // One run fails the statement. Divide them, so that it does not hold the others back.
      const middle = Math.ceil(lost.length / 2)
      if (lost.length > 1)
        groups.push(
          toGroup(group.workerId, lost.slice(0, middle)),
          toGroup(group.workerId, lost.slice(middle)),
        )
      else log.warn({ err: error, runId: lost[0]?.id }, 'ending a lost job run failed')
    }
  }
  return ended

  function toEnd(run: LostRun, endedAt: Date): End {
    const { id: runId, claimId, startedAt } = run
    const error = errorOf(run)
    const facts = run.facts ?? NO_FACTS
    return {
      ...{ runId, claim: { id: claimId, open: new Set() }, startedAt, endedAt, error },
      details: JSON.stringify({ error }),
      logs: null,
      result: null,
      // Its worker may have written it at any moment.
      hasRow: true,
      isPlain: false,
      isDurable: run.isDurable,
      unstorable: 'over',
      ...decideNext(
        { ...run, facts, ...(run.hasNewMemo && NO_FAILURES) },
        retryOf(run),
        after(run),
        error.code,
      ),
      ...(run.hasNewMemo && { forgives: run }),
    }
  }
}

const toObserved = ({ facts, ...run }: LostRun) => ({ ...run, dryRun: facts?.dryRun ?? false })
