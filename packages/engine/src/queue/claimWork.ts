import pg from 'pg'
import { isAliveSql } from '../database/workerLock.ts'
import { CARRIED, listColumns } from './carried.ts'
import type { Connection, PreparedStatement } from '../database/database.ts'
import { bind, prepared, type NamedStatement } from '../database/prepared.ts'
import { readPayload, type Facts } from './envelope.ts'
import { GIVES_WAY } from '../database/giveWay.ts'
import { GREATEST_RANK, LEAST_RANK } from './place.ts'
import { HELD_COLUMNS, hasNotEnded, heldSql, LISTS } from './heldRuns.ts'
import { NO_FACTS, type Behind, type HeldClaim, type Taken } from './taken.ts'

/*
 * A claim is a row of JobClaim that lists what one statement has taken of one job.
 *
 *   asked    No row yet. The worker chose the id; the claim's statement makes it held, or leaves nothing. When no answer
 *            comes, the worker asks findWorkOfClaims, which finds it held or makes it closed.
 *   held     The worker carries out its runs, and deletes the row with the ends of the last of them, or soon after. Its rounds
 *            remove ended runs from it (compactClaims).
 *   closed   A row with no runs: a late statement with the same id fails on it. dropClosedClaims deletes it after 10
 *            minutes; the rescue does when the worker is gone.
 *   lost     The worker does not live (database/workerLock.ts), or the claim has expired. A round of any worker ends the runs, gives
 *            their work back and deletes the row (rescue.ts); a run it could not end keeps the row until the next round.
 */

/** A worker's request for work of one job. */
export interface ClaimRequest {
  /** Chosen by the worker, so that it finds the claim again when no answer came. */
  claimId: string
  name: string
  /** The most pieces of work that the claim takes. */
  limit: number
  /** No two claims have the same key. It is set for exclusive jobs, whose limit is 1. */
  exclusiveKey: string | null
  /** How many seconds later others take the attempt for hung. */
  expireSeconds: number
  /** Where to begin to look, by rank. Default: at the beginning. */
  behind?: readonly Behind[]
  /** Whether the job's last claim was answered in full. Default: no. */
  hasBacklog?: boolean
}

export interface Claimed {
  work: readonly Taken[]
  /**
   * False: others cannot see that this worker lives, so the claim took nothing. Others would rescue its
   * runs while it carries them out.
   */
  isAlive: boolean
  /** Whether more was found than one claim may bring, by its bytes. */
  isCut: boolean
}

/** Another claim has the same exclusive key, or the queue was paused meanwhile: the claim took nothing. */
export class ClaimConflict extends Error {
  override readonly name = 'ClaimConflict'
  constructor(cause: unknown) {
    super('Another run of this exclusive job is under way', { cause })
  }
}

/** The most bytes of payloads that one claim takes, so that a worker can hold them beside its runs. */
export const MAX_CLAIM_BYTES = 16 * 2 ** 20

/** Work needs a worker that understands at least this much. Later versions raise it, and leave what needs more alone. */
export const UNDERSTANDS = 0

/** How many bytes each of the requests may bring. */
const MOST_BYTES = `${MAX_CLAIM_BYTES} / cardinality(:names::text[])`
/** How many pieces were found, if that may be too many bytes. Only then are they summed up one by one, which takes as long as to find them. */
const TOO_MANY = '(select "tooMany" from whole)'

const OF_EACH = CARRIED.filter(({ isRare }) => !isRare)

/**
 * Facts that few pieces of work have: the list in JobClaim, the value of an element, and which pieces have the fact. The list is
 * null if no piece of the claim has it. If no piece has any of these facts, PostgreSQL skips all of these lists.
 */
const RARE = [
  { list: 'workIds', value: '"id"', when: '"attempt" > 1 or "resumptions" is not null' },
  { list: 'dueAts', value: 'case when "isDelayed" then "dueAt" end', when: '"isDelayed"' },
  ...CARRIED.filter(({ isRare }) => isRare).map(({ list, name, absent }) => ({
    ...{ list, value: `"${name}"` },
    when: `"${name}" is distinct from ${absent}`,
  })),
]

const rareSql = ({ list, value, when }: (typeof RARE)[number]) =>
  `case when bool_or(${when}) filter (where "hasMore") then array_agg(${value}) filter (where "hasMore") end as "${list}"`

const ANY_RARE = RARE.map(({ when }) => when).join(' or ')

/** Carried columns that no worker needs. */
const NOT_ANSWERED = ['needs', 'resumptions']
/** Facts that few pieces of work have are one column of the answer, as JSON: much of a worker's time goes into reading columns. */
const MORE = CARRIED.filter(({ name, isRare }) => isRare && !NOT_ANSWERED.includes(name))
const moreSql = (isDelayed: string) =>
  `jsonb_build_object('runId', "runId", 'isDelayed', ${isDelayed}, ${MORE.map(({ name }) => `'${name}', "${name}"`).join(', ')})`

/** The parts in which the statements of claims differ. */
interface ClaimText {
  /** Finds and locks the work of one row of `wanted`, at most its `limit`. */
  found: string
  /** CTEs before the requests, which these may read. Default: none. */
  state?: string
  /** How many pieces a request may take. Default: as many as it asks for. */
  limit?: string
  /** CTEs that read what was taken. Default: none. */
  charged?: string
  /** JSON that the last row of the answer has beside `tooMany`. Default: none. */
  last?: string
}

/**
 * The statement by which a worker takes work. Its steps, each a CTE:
 *
 *   alive     Whether others can see that the worker lives. If not, the steps below find nothing.
 *   wanted    The requests, except for jobs whose queue is paused.
 *   found     The work to take, locked. Of two claims at the same moment, the later skips locked work.
 *   whole     Whether all of it may be too many bytes for a claim to bring, and whether any of it has anything of RARE.
 *   taken     What of it is within those bytes; the first of each request always is. The run of a first attempt has the id of its work.
 *   gone      It leaves JobWork,
 *   claimed   and each request gets a row in JobClaim. A pause that was committed meanwhile fails it as a conflict does.
 *
 * The answer has a row for each piece, and a last row with `more` alone: null where the worker does not live.
 * Race: packages/engine/test/work/longPayloads.test.ts "never runs an older payload than the newest that was committed before, nor leaves one to nobody"
 * Race: packages/engine/test/control/pauseQueue.test.ts "gives it nothing, though the claim began before: %s"
 */
export const claimSql = ({
  found,
  state = '',
  limit = 'wanted."limit"',
  charged = '',
  last = "'{}'::jsonb",
}: ClaimText) => `
  with alive as materialized (select ${isAliveSql(':workerId')} as "isAlive"
  )${state}, wanted as materialized (
    select wanted."name", ${limit} as "limit", wanted."exclusiveKey", wanted."claimId", wanted."expireSeconds", wanted."request"
    from alive cross join unnest(:names::text[], :most::int[], :exclusiveKeys::text[], :claimIds::uuid[], :expireSeconds::int[]) with ordinality
      as wanted("name", "limit", "exclusiveKey", "claimId", "expireSeconds", "request")
    where alive."isAlive" and ${GIVES_WAY} and ${isOpen('wanted."name"')}
  ), found as materialized (
    select wanted."request", work.*, "attempt" > 1 or "dueAt" > "enqueuedAt" + interval '1 second' as "isDelayed"
    from wanted cross join lateral (${found}
    ) work
  ), whole as materialized (
    select case when sum("bytes") > ${MOST_BYTES} then count(*)::int end as "tooMany", bool_or(${ANY_RARE}) as "hasMore" from found
  ), taken as materialized (
    select found.*, case when "attempt" = 1 and "resumptions" is null then "id" else gen_random_uuid() end as "runId" from found
    where case when ${TOO_MANY} is null then true else "id" in (
      select "id" from (
        select "id", sum("bytes") over (partition by "request" order by "rank", "place" rows unbounded preceding) - "bytes" as "bytesBefore" from found
      ) one where "bytesBefore" < ${MOST_BYTES}
    ) end
  ), gone as (
    delete from "JobWork" work where work."id" = any(array(select "id" from taken))
  ), claimed as (
    insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "isAlone", "startedAt", "expiresAt", "limits", "place",
      "runIds", "payloads", ${listColumns([...OF_EACH, ...RARE].map(({ list }) => list))})
    select wanted."claimId", wanted."name", :workerId,
      -- Dry runs go on beside the job's real run.
      case when not "isDry" then wanted."exclusiveKey" end, :isAlone::bool, :startedAt, now() + wanted."expireSeconds" * interval '1 second',
      :limits::text[], case when :limits::text[] is not null then nextval('roundsman."JobPlace"') end,
      "runIds", "payloads", ${listColumns([...OF_EACH, ...RARE].map(({ list }) => list))}
    from wanted join (
      select "request", bool_or(coalesce("facts" -> 'dryRun' = 'true', false)) as "isDry", array_agg("runId") as "runIds",
        case when count("payload") > 0 then array_agg("payload") end as "payloads",
        ${[...OF_EACH.map(({ list, name }) => `array_agg("${name}") as "${list}"`), ...RARE.map(rareSql)].join(',\n        ')}
      from whole cross join taken group by "request"
    ) held on held."request" = wanted."request"
    -- All in the same order, so that two claims that meet at two keys do not wait for each other.
    order by wanted."exclusiveKey"
    -- It may have waited for another claim of its exclusive key, and the queue may be paused since.
    returning case when "exclusiveKey" is not null then roundsman."JobExpectOpen"("name") end, "place" as "own"
  )${charged}
  select "request"::int as "request", "id"::text as "id", "place"::text as "place", "bytes", "payload",
    case when (select "hasMore" from whole) and (${ANY_RARE}) then ${moreSql('"isDelayed"')} end as "more"
  from taken
  union all
  select null, null, null, null, null, case when "isAlive" then ${last} || jsonb_build_object('tooMany', ${TOO_MANY}) end from alive`

const isOpen = (name: string) =>
  `not coalesce((select true from "JobQueue" paused where paused."name" = ${name}), false)`

/** Of an exclusive job nothing is taken while a run of it is under way. Dry runs change nothing. */
export const IS_WANTED = `work."needs" <= ${UNDERSTANDS} and (
          wanted."exclusiveKey" is null or work."facts" -> 'dryRun' = 'true'
          or not exists (select from "JobClaim" other where other."exclusiveKey" = wanted."exclusiveKey")
        )`

/** Finds work in ranges of ranks. */
export const FOUND_IN_RANGES = `
      select work.*
      from unnest(:requests::int[], :ranks::int[], :places::bigint[], :ends::int[]) as range("request", "rank", "place", "end")
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
export const CLAIM = prepared('roundsman_claim', claimSql({ found: FOUND_IN_RANGES }))

/**
 * PostgreSQL keeps a general plan if plans for the actual values are no better. It cannot see the values of a subquery, so a
 * statement whose arrays are subqueries keeps its plan.
 */
export const keepsPlan = (text: string) =>
  text.replace(/unnest\(([^()]*)\)/g, (_, arrays: string) => {
    return `unnest(${arrays.replaceAll(/:\w+::\w+\[\]/g, '(select $&)')})`
  })

/** For one request of a job without a backlog: planning takes twice as long as taking a piece of work. */
const CLAIM_FEW = prepared('roundsman_claim_few', keepsPlan(claimSql({ found: FOUND_IN_RANGES })))

/** Takes a piece of work that has lost several workers, to run alone. */
const CLAIM_SUSPECT = prepared(
  'roundsman_claim_suspect',
  claimSql({
    found: `
      select work.* from "JobWork" work
      where work."name" = wanted."name" and work."place" is not null and work."losses" >= 2 and ${IS_WANTED}
      order by work."place"
      limit wanted."limit"
      for update skip locked`,
  }),
)

export interface ClaimOptions {
  workerId: string
  /** At most one of each job. */
  requests: readonly ClaimRequest[]
  startedAt: Date
  /** Takes only work that has lost several workers. `isAlone`: nothing else runs in this process. Default: takes only other work. */
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
  const isOfMuch = requests.length > 1 || requests[0]?.hasBacklog === true
  const statement = suspects ? CLAIM_SUSPECT : isOfMuch ? CLAIM : CLAIM_FEW
  const { rows, last } = await askForWork(connection, statement, {
    ...requestValues({ workerId, requests, startedAt, suspects }),
    ...rangeValues(requests.flatMap(toRanges)),
    limits: null,
  })
  return {
    work: toTaken(rows, requests, startedAt),
    isAlive: last !== null,
    isCut: (last?.tooMany ?? 0) > rows.length,
  }
}

/** The parameters that each claim's statement has. */
export const requestValues = ({ workerId, requests, startedAt, suspects }: ClaimOptions) => ({
  workerId,
  startedAt,
  isAlone: suspects?.isAlone ?? false,
  names: requests.map(({ name }) => name),
  most: requests.map(({ limit }) => limit),
  exclusiveKeys: requests.map(({ exclusiveKey }) => exclusiveKey),
  claimIds: requests.map(({ claimId }) => claimId),
  expireSeconds: requests.map(({ expireSeconds }) => expireSeconds),
})

/** The parameters of FOUND_IN_RANGES. */
export const rangeValues = (ranges: readonly RankRange[]) => ({
  requests: ranges.map(({ request }) => request),
  ranks: ranges.map(({ rank }) => rank),
  places: ranges.map(({ place }) => place),
  ends: ranges.map(({ end }) => end),
})

/** The last row of a claim's answer. */
interface LastRow {
  /** How many pieces were found, where some may have been left behind by their bytes. */
  tooMany: number | null
}

/**
 * Returns a row for each piece that the claim took, and `last`: null where the worker does not live.
 * @throws ClaimConflict
 */
export async function askForWork(
  connection: Connection,
  statement: NamedStatement,
  values: Readonly<Record<string, unknown>>,
): Promise<{ rows: TakenRow[]; last: LastRow | null }> {
  const asked = connection.query<TakenRow>(statement, bind(statement, values))
  const { rows } = await asked.catch((error: unknown) => {
    const { constraint } = error instanceof pg.DatabaseError ? error : {}
    throw constraint === 'JobClaim_exclusiveKey_key' ? new ClaimConflict(error) : error
  })
  const last = rows.pop()?.more ?? null
  return { rows, last: last as LastRow | null }
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
export async function findWorkOfClaims(
  connection: Connection,
  workerId: string,
  requests: readonly ClaimRequest[],
): Promise<Taken[]> {
  const claimIds = requests.map(({ claimId }) => claimId)
  const names = requests.map(({ name }) => name)
  await connection.query(CLOSE_CLAIMS_SQL, [claimIds, names, workerId])
  const { rows } = await connection.query<TakenRow & { startedAt: Date }>(WORK_OF_CLAIMS_SQL, [
    claimIds,
  ])
  return [...Map.groupBy(rows, ({ request }) => request).values()].flatMap((ofClaim) =>
    toTaken(ofClaim, requests, (ofClaim[0] as { startedAt: Date }).startedAt),
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
  select array_position($1::uuid[], "claimId") as "request", "workId"::text as "id", "startedAt", "bytes", "payload",
         ${moreSql('"dueAt" is not null')} as "more"
  from (
    select ${HELD_COLUMNS} from "JobClaim" ${heldSql('claim."payloads"')}
    where claim."id" = any($1::uuid[]) and ${hasNotEnded('held."runId"')}
  ) work`

/** The facts of a piece of work that the statement that took it could not see. */
type Unread = Pick<Taken, 'name' | 'payload' | 'payloadId' | 'uniqueKey'> & {
  workId?: string | null
}

const isKeyed = ({ uniqueKey, workId = null }: Unread) => uniqueKey !== null && workId !== null

/**
 * Reads long payloads, and whether newer work has taken a unique key, by a statement after that which took the work: the
 * snapshot of that one may be older than the row that it took.
 */
export async function readBesideClaim<One extends Unread>(
  connection: Connection,
  work: readonly One[],
): Promise<readonly One[]> {
  const long = work.filter(({ payloadId }) => payloadId !== null)
  const keyed = work.filter(isKeyed)
  if (long.length + keyed.length === 0) return work
  const { rows } = await connection.query<{ id: string; isPayload: boolean; payload: unknown }>(
    READ_BESIDE_CLAIM,
    [
      long.map(({ payloadId }) => payloadId),
      keyed.map(({ name }) => name),
      keyed.map(({ uniqueKey }) => uniqueKey),
    ],
  )
  const payloads = new Map(rows.flatMap((row) => (row.isPayload ? [[row.id, row.payload]] : [])))
  const holders = new Set(rows.flatMap(({ id, isPayload }) => (isPayload ? [] : [id])))
  const readLong = (payloadId: string) =>
    payloads.has(payloadId)
      ? { payload: payloads.get(payloadId) }
      : { payloadMissing: `JobPayload has no row ${payloadId}` }
  return work.map((one) => ({
    ...one,
    ...(one.payloadId !== null && readLong(one.payloadId)),
    ...(isKeyed(one) && { isReplaced: !holders.has(one.workId as string) }),
  }))
}

const READ_BESIDE_CLAIM: PreparedStatement = {
  name: 'roundsman_read_beside_claim',
  text: `
  select "id"::text as "id", true as "isPayload", "payload" from "JobPayload" where "id" = any($1::uuid[])
  union all
  select one."workId"::text, false, null from unnest($2::text[], $3::text[]) asked(name, key)
    join "JobUnique" one on one."name" = asked.name and one."key" = asked.key`,
}

/** Longer than any statement of the closed claim can still be on its way: the server cancels statements after half a minute. */
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
/** A claim is compacted if at least this share of its runs has ended: otherwise its long runs would be rewritten each time. */
const LEAST_ENDED = 0.1

const COMPACTED = [...LISTS.map(([list]) => list), 'payloads']

/**
 * Removes ended runs from the claims of this worker. A claim stays until its slowest run ends, and each search for runs under way
 * reads all claims. This statement waits for no lock, and no end of a run waits for it.
 */
export async function compactClaims(connection: Connection, workerId: string): Promise<void> {
  await connection.query(COMPACT_CLAIMS_SQL, [workerId])
}

/** Race: packages/engine/test/liveness/compactClaims.test.ts "is compacted while an end of it is being written, and both come through" */
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
      cross join lateral unnest(${COMPACTED.map((list) => `claim."${list}"`).join(', ')})
        with ordinality as held(${listColumns(COMPACTED)}, "at")
    where ${hasNotEnded('held."runIds"')}
    group by claim."id"
  ) kept
  where claim."id" = kept."id"`

/** A row of the claim's answer. */
interface TakenRow {
  [column: string]: unknown
  /** The place of its request in the list, from 1 on. */
  request: number
  /** The id of the work, and of the run where `more` has none. Null where a run has no work. */
  id: string | null
  bytes: number
  place?: string
  payload: unknown
  /** Facts that few pieces of work have. Null if this one has none. */
  more: Partial<More> | null
}

interface More extends Pick<
  Taken,
  'attempt' | 'payloadId' | 'label' | 'failures' | 'losses' | 'lossesAlone' | 'uniqueKey' | 'key'
> {
  runId: string
  facts: Facts | null
  rank: number
  /** Whether its run records when it was due. */
  isDelayed: boolean
}

const NO_MORE: Partial<More> = Object.freeze({})

/** Makes of rows what lanes take, and counts it to its claims. */
export function toTaken(
  rows: readonly TakenRow[],
  requests: readonly ClaimRequest[],
  startedAt: Date,
): Taken[] {
  const claims: HeldClaim[] = requests.map(({ claimId }) => ({ id: claimId, open: new Set() }))
  return rows.map((row) => {
    const { request, id } = row
    const claim = claims[request - 1] as HeldClaim
    const more = row.more ?? NO_MORE
    const { label = null, facts = null, uniqueKey = null, payloadId = null } = more
    const runId = more.runId ?? (id as string)
    claim.open.add(runId)
    const isBare = facts === null && label === null && uniqueKey === null && payloadId === null
    return {
      id: runId,
      name: (requests[request - 1] as ClaimRequest).name,
      attempt: more.attempt ?? 1,
      startedAt,
      workId: id,
      claim,
      origin: 'queue',
      payload: readPayload(row),
      bytes: row.bytes,
      payloadId,
      payloadMissing: null,
      label,
      facts: facts ?? NO_FACTS,
      failures: more.failures ?? 0,
      losses: more.losses ?? 0,
      lossesAlone: more.lossesAlone ?? 0,
      uniqueKey,
      isReplaced: false,
      key: more.key ?? null,
      from: row.place === undefined ? null : { rank: more.rank ?? 0, place: row.place },
      isPlain: isBare && runId === id && more.isDelayed !== true,
    }
  })
}
