import pg from 'pg'
import type { JobTrigger } from '../job/handler.ts'
import type { WorkLabel } from '../job/labelWork.ts'
import { aliveSql } from '../liveness/whoIsLost.ts'
import type { Connection, PreparedStatement } from './database.ts'
import { labelOfEnvelope, toEnvelope, type Envelope, type Facts } from './envelope.ts'
import { GIVES_WAY } from './giveWay.ts'
import { MAX_INLINE_BYTES } from './queueTables.ts'
import { ARRAYS, HELD_COLUMNS, hasNotEnded, heldSql } from './heldRuns.ts'
import { isReplacedSql } from './uniqueKeys.ts'

/*
 * A claim is a row of JobClaim that lists what one statement has taken of one job.
 *
 *   asked    No row yet. The worker chose the id; the claim's statement makes it held, or leaves nothing. When no answer
 *            comes, the worker asks settleClaims, which finds it held or makes it closed.
 *   held     The worker carries out its runs, and deletes the row with the ends of the last of them, or soon after. Its rounds
 *            take out what has ended meanwhile (compactClaims).
 *   closed   A row with no runs: a late statement with the same id fails on it. dropClosedClaims deletes it after 10
 *            minutes; the rescue does when the worker is gone.
 *   lost     The worker does not live (whoIsLost.ts), or the claim has expired. A round of any worker ends the runs, gives
 *            their work back and deletes the row (rescue.ts); a run it could not end keeps the row until the next round.
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
  /** After so many seconds others take the attempt for hung. */
  expireSeconds: number
  /** Where to begin to look, by rank. Default: at the beginning. */
  behind?: readonly Behind[]
  /** Whether the job's last claim was answered in full. Default: no. */
  hasBacklog?: boolean
}

/** The place behind which there is work of this rank that the worker has not dealt with. */
export interface Behind {
  rank: number
  place: string
}

/** A run as it is recorded. */
export interface NewRun extends WorkLabel {
  id: string
  name: string
  trigger: JobTrigger
  attempt: number
  /** How often its work is tried again if this attempt fails. */
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
  /** Where it came from. */
  origin: 'queue' | 'hand' | 'deadLetter'
  /** How many attempts have cost a retry, and how often its worker was lost, also while it ran alone. */
  failures: number
  losses: number
  lossesAlone: number
  /** How many bytes its payload has as JSON. */
  bytes: number
  /** Newer work has taken its unique key. */
  isReplaced: boolean
  /** Whether it is the first attempt of work without anything beside its payload, which is short. */
  isPlain: boolean
  /** Where the queue had it. Absent when it did not come from there. */
  from?: Behind
  /** Whether it stored a batch or its progress in JobRun before its end. */
  hasSpoken?: boolean
}

export interface Claimed {
  work: TakenWork[]
  /**
   * False: others cannot see that this worker lives, so the claim took nothing. They would rescue what it took while it
   * carries it out.
   */
  isAlive: boolean
  /** Whether more was found than one claim may bring, by its bytes. */
  isCut: boolean
}

/** Another claim has the same exclusive key: the claim took nothing. */
export class ClaimConflict extends Error {
  override readonly name = 'ClaimConflict'
  constructor(cause: unknown) {
    super('Another run of this exclusive job is under way', { cause })
  }
}

/** What one claim brings, so that a worker can hold it beside what it runs: after so many bytes it takes no more. */
export const MAX_CLAIM_BYTES = 16 * 2 ** 20

/** Work needs a worker that understands at least this much. Later versions raise it, and leave what needs more alone. */
export const UNDERSTANDS = 0

const [LEAST_RANK, GREATEST_RANK] = [-(2 ** 31), 2 ** 31 - 1]

/** How a statement names a parameter that is an array. */
type ArrayOf = (array: string) => string

/**
 * The statement by which a worker takes work. Its steps, each a CTE:
 *
 *   alive     Whether others can see that the worker lives. If not, the steps below find nothing.
 *   wanted    The requests, except for jobs whose queue is paused.
 *   found     The work to take, locked. Of two claims at the same moment, the later passes over what is locked.
 *   taken     What of it is within the bytes that a claim may bring; the first of each request always is. The run of a first attempt has the
 *             id of its work.
 *   gone      It leaves JobWork,
 *   claimed   and each request gets a row in JobClaim.
 *
 * Its parameters: $1 the worker's id, $2 the instant at which the runs start; arrays with an element for each request: $3 names,
 * $4 limits, $5 exclusive keys, $6 ids of the claims, $7 seconds until they expire; and for each range of ranks to look
 * into, in order: $8 the place of its request in the arrays, $9 and $10 the rank and place behind which it begins, $11 the rank with which it ends.
 */
const claimSql = (found: (array: ArrayOf) => string, isAlone: string, array: ArrayOf) => `
  with alive as materialized (${aliveSql('$1')}
  ), wanted as materialized (
    select wanted.* from alive cross join unnest(${array('$3::text[]')}, ${array('$4::int[]')}, ${array('$5::text[]')}, ${array('$6::uuid[]')}, ${array('$7::int[]')}) with ordinality
      as wanted("name", "limit", "exclusiveKey", "claimId", "expireSeconds", "request")
    where alive."isAlive" and ${GIVES_WAY}
      and not coalesce((select true from "JobQueue" paused where paused."name" = wanted."name"), false)
  ), found as materialized (
    select wanted."claimId", work.* from wanted cross join lateral (${found(array)}
    ) work
  ), taken as materialized (
    select found.*, case when "attempt" = 1 then "id" else gen_random_uuid() end as "runId" from (
      select found.*, sum("bytes") over (partition by "claimId" order by "rank", "place" rows unbounded preceding) - "bytes" as "bytesBefore" from found
    ) found where "bytesBefore" < ${MAX_CLAIM_BYTES} / cardinality($3::text[])
  ), gone as (
    delete from "JobWork" work where work."id" = any(array(select "id" from taken))
  ), claimed as (
    insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "isAlone", "startedAt", "expiresAt", "runIds", "workIds",
      "attempts", "ranks", "failures", "losses", "lossesAlone", "needs", "uniqueKeys", "keys", "labels", "dueAts", "facts",
      "bytes", "enqueuedAts", "payloads")
    select wanted."claimId", wanted."name", $1,
      -- Dry runs go on beside the job's real run.
      case when not bool_or(coalesce("facts" -> 'dryRun' = 'true', false)) then wanted."exclusiveKey" end, ${isAlone}, $2,
      now() + wanted."expireSeconds" * interval '1 second',
      array_agg("runId"),
      case when bool_or("attempt" > 1) then array_agg(taken."id") end,
      case when bool_or("attempt" > 1) then array_agg("attempt") end,
      case when bool_or("rank" <> 0) then array_agg("rank") end,
      case when bool_or("failures" > 0) then array_agg("failures") end,
      case when bool_or("losses" > 0) then array_agg("losses") end,
      case when bool_or("lossesAlone" > 0) then array_agg("lossesAlone") end,
      case when bool_or("needs" > 0) then array_agg("needs") end,
      case when count("uniqueKey") > 0 then array_agg("uniqueKey") end,
      case when count("key") > 0 then array_agg("key") end,
      case when count("label") > 0 then array_agg("label") end,
      case when bool_or("isDelayed") then array_agg(case when "isDelayed" then "dueAt" end) end,
      case when count("facts") > 0 then array_agg("facts") end,
      array_agg("bytes"), array_agg("enqueuedAt"),
      case when count("payload") > 0 then array_agg("payload") end
    from (
      select *, "attempt" > 1 or "dueAt" > "enqueuedAt" + interval '1 second' as "isDelayed" from taken
    ) taken join wanted on wanted."claimId" = taken."claimId"
    group by wanted."claimId", wanted."name", wanted."exclusiveKey", wanted."expireSeconds"
    -- All in the same order, so that two claims that meet at two keys do not wait for each other.
    order by wanted."exclusiveKey"
  )
  select taken."claimId"::text as "claimId", "name", "id"::text as "id", "runId"::text as "runId", "attempt", "failures",
         "losses", "lossesAlone", "label", "facts",
         case when "payload" is null then (select long."payload" from "JobPayload" long where long."workId" = "id") else "payload" end
           as "payload",
         "bytes", "rank", "place"::text as "place",
         "uniqueKey" is not null as "isUnique", ${isReplacedSql('taken', 'id')} as "isReplaced",
         (select count(*) from found) > (select count(*) from taken) as "isCut"
  from taken
  union all
  select ${Array.from({ length: 17 }, () => 'null').join(', ')} from alive where not "isAlive"`

/** Of an exclusive job nothing is taken while a run of it is under way. Dry runs change nothing. */
const IS_WANTED = `work."needs" <= ${UNDERSTANDS} and (
          wanted."exclusiveKey" is null or work."facts" -> 'dryRun' = 'true'
          or not exists (select from "JobClaim" other where other."exclusiveKey" = wanted."exclusiveKey")
        )`

const FOUND = (array: ArrayOf) => `
      select work.*
      from unnest(${array('$8::int[]')}, ${array('$9::int[]')}, ${array('$10::bigint[]')}, ${array('$11::int[]')})
        as range("request", "rank", "place", "end")
      cross join lateral (
        select work.* from "JobWork" work
        where work."name" = wanted."name" and work."place" is not null and work."losses" < 2
          and (work."rank", work."place") > (range."rank", range."place") and work."rank" <= range."end"
          and ${IS_WANTED}
        order by work."rank", work."place"
        -- Here as well, so that PostgreSQL walks the index. The outer one ends the walk through later ranges.
        limit wanted."limit"
        for update skip locked
      ) work
      where range."request" = wanted."request"
      limit wanted."limit"`

/** For arrays PostgreSQL plans each time, by how much waits at that moment. A plan that it kept of an empty queue would read all of a full one. */
const CLAIM: PreparedStatement = {
  name: 'roundsman_claim',
  text: claimSql(FOUND, 'false', (array) => array),
}

/**
 * For one request of a job without a backlog, of which the plan may stay: planning takes twice as long as taking a piece of
 * work. PostgreSQL keeps a plan that is no worse than those for the values, which it does not know of a subquery.
 */
const CLAIM_FEW: PreparedStatement = {
  name: 'roundsman_claim_few',
  text: claimSql(FOUND, 'false', (array) => `(select ${array})`),
}

/** Takes a piece of work that has lost several workers, to run alone. Its last parameter says whether it does. */
const CLAIM_SUSPECT: PreparedStatement = {
  name: 'roundsman_claim_suspect',
  text: claimSql(
    () => `
      select work.* from "JobWork" work
      where work."name" = wanted."name" and work."place" is not null and work."losses" >= 2 and ${IS_WANTED}
      order by work."place"
      limit wanted."limit"
      for update skip locked`,
    '$8::bool',
    (array) => array,
  ),
}

export interface ClaimOptions {
  workerId: string
  /** At most one of each job. */
  requests: readonly ClaimRequest[]
  startedAt: Date
  /** Takes only what has lost several workers, and says whether nothing else runs in this process. Default: only what has not. */
  suspects?: { isAlone: boolean } | undefined
}

/**
 * Takes work of these jobs and claims it for the worker, in one statement. A worker killed before the commit has taken
 * nothing; one killed after it leaves a claim by which the rescue finds the runs.
 * The statement asks first, and once, whether others can see that the worker lives. If they cannot a moment later, the
 * rescue gives the work to another worker, and the run here can commit nothing more.
 * @throws ClaimConflict
 */
export async function claimWork(
  connection: Connection,
  { workerId, requests, startedAt, suspects }: ClaimOptions,
): Promise<Claimed> {
  const ranges = requests.flatMap(toRanges)
  const values = [
    workerId,
    startedAt,
    requests.map(({ name }) => name),
    requests.map(({ limit }) => limit),
    requests.map(({ exclusiveKey }) => exclusiveKey),
    requests.map(({ claimId }) => claimId),
    requests.map(({ expireSeconds }) => expireSeconds),
    ...(suspects
      ? [suspects.isAlone]
      : [
          ranges.map(({ request }) => request),
          ranges.map(({ rank }) => rank),
          ranges.map(({ place }) => place),
          ranges.map(({ end }) => end),
        ]),
  ]
  const { rows } = await connection
    .query<TakenRow>(suspects ? CLAIM_SUSPECT : chooseStatement(requests), values)
    .catch((error: unknown) => {
      const { constraint } = error instanceof pg.DatabaseError ? error : {}
      throw constraint === 'JobClaim_exclusiveKey_key' ? new ClaimConflict(error) : error
    })
  const [first] = rows
  if (first?.id === null) return { work: [], isAlive: false, isCut: false }
  return {
    work: toTakenWork(rows, startedAt),
    isAlive: true,
    isCut: first?.isCut ?? false,
  }
}

function chooseStatement([first, ...others]: readonly ClaimRequest[]): PreparedStatement {
  return others.length > 0 || first?.hasBacklog === true ? CLAIM : CLAIM_FEW
}

/** Ranks in which to look for the work of a request, and the rank and place behind which to begin. */
export interface RankRange {
  /** The place of its request in the list, from 1 on. */
  request: number
  rank: number
  place: string
  end: number
}

/** The ranges of ranks in which to look, each from where the worker has come to, and all others from their beginning. */
export function toRanges({ behind = [] }: { behind?: readonly Behind[] }, at: number): RankRange[] {
  const ranges: RankRange[] = []
  let from = LEAST_RANK
  for (const { rank, place } of behind.toSorted((a, b) => a.rank - b.rank)) {
    if (from < rank) ranges.push({ request: at + 1, rank: from, place: '0', end: rank - 1 })
    ranges.push({ request: at + 1, rank, place, end: rank })
    from = rank + 1
  }
  if (from <= GREATEST_RANK)
    ranges.push({ request: at + 1, rank: from, place: '0', end: GREATEST_RANK })
  return ranges
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
  const { rows } = await connection.query<TakenRow & { startedAt: Date }>(WORK_OF_CLAIMS_SQL, [
    claimIds,
  ])
  return [...Map.groupBy(rows, ({ claimId }) => claimId).values()].flatMap((ofClaim) =>
    toTakenWork(ofClaim, (ofClaim[0] as { startedAt: Date }).startedAt),
  )
}

/**
 * Inserts an empty claim under each id: the insert waits for a statement that PostgreSQL still carries out, and a statement
 * that comes later fails on it. dropClosedClaims deletes the empty claims.
 */
const CLOSE_CLAIMS_SQL = `
  insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
  select id, name, $3, now(), 'infinity', '{}', '{}' from unnest($1::uuid[], $2::text[]) as claim(id, name)
  on conflict ("id") do nothing`

const WORK_OF_CLAIMS_SQL = `
  select "claimId"::text, "name", "workId"::text as "id", "runId"::text, "attempt", "failures", "losses", "lossesAlone", "label", "facts",
         coalesce("payload", (select long."payload" from "JobPayload" long where long."workId" = work."workId")) as "payload",
         "bytes", "rank", "startedAt",
         "uniqueKey" is not null as "isUnique", ${isReplacedSql('work', 'workId')} as "isReplaced"
  from (
    select ${HELD_COLUMNS} from "JobClaim" ${heldSql('claim."payloads"')}
    where claim."id" = any($1) and ${hasNotEnded('held."runId"')}
  ) work`

/** Far longer than the half minute after which a statement is cancelled: one may still have been on its way to the server. */
const CLOSED_FOR_MINUTES = 10

/** Removes the empty claims by which a worker has closed others: no statement can still carry the same id. */
export async function dropClosedClaims(connection: Connection, workerId: string): Promise<void> {
  await connection.query(
    `delete from "JobClaim" where "workerId" = $1 and "runIds" = '{}' and ${GIVES_WAY}
       and "createdAt" < now() - interval '${CLOSED_FOR_MINUTES} minutes'`,
    [workerId],
  )
}

/** Younger claims may be over soon. */
const COMPACTED_AFTER_S = 10
/** Each time, so much of a claim has ended at least, so that what goes on is not written again and again. */
const LEAST_ENDED = 0.1

const COMPACTED = [...ARRAYS.map(([column]) => column), 'payloads']

/**
 * Takes the runs that have ended out of this worker's claims, which the slowest keep: whoever looks for what runs reads them all.
 * It waits for nobody, and nobody's end waits for it.
 */
export async function compactClaims(connection: Connection, workerId: string): Promise<void> {
  await connection.query(COMPACT_CLAIMS_SQL, [workerId])
}

const COMPACT_CLAIMS_SQL = `
  update "JobClaim" claim
  set ${COMPACTED.map((column) => `"${column}" = case when claim."${column}" is not null then kept."${column}" end`).join(', ')}
  from (
    select claim."id", ${COMPACTED.map((column) => `array_agg(held."${column}" order by held."at") as "${column}"`).join(', ')}
    from (
      select * from "JobClaim"
      where "workerId" = $1 and "createdAt" < now() - interval '${COMPACTED_AFTER_S} seconds' and ${GIVES_WAY}
        and (select count(*) from unnest("runIds") as held("id") where ${hasNotEnded('held."id"')})
          between 1 and cardinality("runIds") * ${1 - LEAST_ENDED}
      for no key update skip locked
    ) claim
      cross join lateral unnest(${COMPACTED.map((column) => `claim."${column}"`).join(', ')})
        with ordinality as held(${COMPACTED.map((column) => `"${column}"`).join(', ')}, "at")
    where ${hasNotEnded('held."runIds"')}
    group by claim."id"
  ) kept
  where claim."id" = kept."id"`

/** A row of the claim's answer. */
interface TakenRow {
  [column: string]: unknown
  claimId: string
  name: string
  /** The id of the work. Null in the only row of the answer that says that this worker is not alive. */
  id: string | null
  runId: string
  attempt: number
  failures: number
  losses: number
  lossesAlone: number
  label: string | null
  facts: Facts | null
  payload: unknown
  bytes: number
  rank: number
  place?: string
  isUnique: boolean
  isReplaced: boolean
  /** Every row says the same. */
  isCut?: boolean
}

/** Turns rows into work for lanes, and counts it to its claims. `retriesLeft` is as the job of the worker has it: see claimer.ts. */
function toTakenWork(rows: readonly TakenRow[], startedAt: Date): TakenWork[] {
  const claims = new Map<string, HeldClaim>()
  return rows.map((row) => {
    const { claimId, name, runId, attempt, failures, losses, lossesAlone, bytes, rank, place } = row
    let held = claims.get(claimId)
    if (held === undefined) claims.set(claimId, (held = { id: claimId, open: 0 }))
    held.open += 1
    const envelope = toEnvelope(row)
    const { trigger, scheduledFor, dryRun = false, actor = null, reason = null } = envelope
    return {
      held,
      envelope,
      origin: 'queue' as const,
      failures,
      losses,
      lossesAlone,
      bytes,
      isReplaced: row.isReplaced,
      isPlain:
        attempt === 1 &&
        row.facts === null &&
        row.label === null &&
        !row.isUnique &&
        bytes <= MAX_INLINE_BYTES,
      ...(place !== undefined && { from: { rank, place } }),
      run: {
        id: runId,
        name,
        trigger,
        attempt,
        retriesLeft: 0,
        scheduledFor: scheduledFor === undefined ? null : new Date(scheduledFor),
        startedAt,
        dryRun,
        actor,
        reason,
        workId: row.id,
        ...labelOfEnvelope(envelope),
      },
    }
  })
}
