import type { Details } from '../job/handler.ts'
import type { Refusal } from '../job/rateLimited.ts'
import { CARRIED_COLUMNS, carriedValues, listColumns } from './carried.ts'
import { abandonChildrenSql, endChildrenSql } from './children.ts'
import type { Connection } from '../database/database.ts'
import { bind, prepared } from '../database/prepared.ts'
import { GIVES_WAY } from '../database/giveWay.ts'
import { HELD_COLUMNS, heldSql, RECORDED_AT_START } from './heldRuns.ts'
import { PLACE_SQL } from './place.ts'
import { hasSqlState, UNIQUE_VIOLATION } from '../database/sqlState.ts'
import { INSERT_WAITS_SQL, NEVER_DUE } from './stepSql.ts'
import type { HeldClaim, Taken } from './taken.ts'
import { toColumn } from '../database/toColumn.ts'
import { isReplacedSql, releaseKeysSql } from './uniqueKeys.ts'

/**
 * What becomes of a run's work.
 *   done   It has succeeded.
 *   again  It is tried again after `delayMs`; 0: at once. The `waits` of durable work stay open meanwhile.
 *   suspend  It waits, and then continues. The next run counts as the same attempt.
 *   dead   It is given up, and becomes a dead letter.
 *   over   It is given up without a dead letter.
 *   keep   As over, but its payload is kept for a day, since a person may approve another run.
 * If newer work has taken its unique key, all of these except `done` become `over`.
 */
export type Next =
  | { kind: 'done' | 'dead' | 'over' | 'keep' }
  | { kind: 'again'; delayMs: number; waits?: string | undefined }
  | ({ kind: 'suspend' } & Suspension)

/** The open waits of a suspended run's work. */
export interface Suspension {
  /** Its open waits, as JSON. */
  readonly waits: string
  /** The earliest instant and the shortest pause after which a wait is over. Both null: only a signal or a child ends it. */
  readonly until: Date | null
  readonly delayMs: number | null
}

/** A step by its row. */
export interface FailedStep {
  readonly name: string
  readonly item: string
}

/** How a run has ended. It is plain data, and nothing changes it. */
export interface End {
  readonly runId: string
  /** The claim that holds the run. */
  readonly claim: HeldClaim
  readonly startedAt: Date
  readonly endedAt: Date
  /** Null: it has succeeded. */
  readonly error: { readonly code: string; readonly message: string } | null
  /** As JSON, merged into the counts of the run's batches; null when there are none. */
  readonly details: string | null
  /** Its log lines and its result, as JSON. */
  readonly logs: string | null
  readonly result: string | null
  /** Whether JobRun may have the run, as running: it has stored a batch, its progress or its log. */
  readonly hasRow: boolean
  /** Whether only its row is to be written: the first attempt of work that was due at once, without anything beside its payload. */
  readonly isPlain: boolean
  /** The step whose failure it is. Default: none. */
  readonly failedStep?: FailedStep
  /** Whether its work has steps. Default false. */
  readonly isDurable?: boolean
  /** How long its work may take from its first start. Default: as long as it does. */
  readonly deadlineMs?: number | null
  readonly next: Next
  /**
   * Whether this attempt costs a retry, lost its worker, and lost it while it ran alone; and how many attempts in a row a
   * service has refused, or had no payload, by now. Default: no cost, and unchanged numbers.
   */
  readonly costs?: {
    failure?: boolean
    loss?: boolean
    lossAlone?: boolean
    inARow?: { refused?: number; payloadMissing?: number }
  }
  /** The costs of earlier attempts, if they no longer count. Default: they count. */
  readonly forgives?: Pick<Taken, 'failures' | 'losses' | 'lossesAlone'>
  /** The outcome for the work of a success whose details PostgreSQL refuses to store. */
  readonly unstorable: 'dead' | 'over' | 'keep'
  /** Which work has to wait, since a service has refused more. Absent: none. */
  readonly refusal?: Refusal
}

/**
 * Ends runs of a worker and decides on their work, in one statement: the only one that does. It also deletes the claims `over`,
 * whose last runs these are. It waits only for a run's own row, which the handler's transaction may hold.
 * @returns All details of each run that it ended. A missing run was ended by another worker, or no claim of this worker holds it.
 */
export async function endRuns(
  connection: Connection,
  workerId: string,
  ends: readonly End[],
  over: readonly string[] = [],
): Promise<Map<string, Details | null>> {
  try {
    const arePlain = ends.every(
      ({ isPlain, hasRow, error, logs, result }) =>
        isPlain && !hasRow && (error ?? logs ?? result) === null,
    )
    const written = arePlain ? await writePlain(connection, workerId, ends, over) : null
    return written ?? (await endAny(connection, workerId, ends, over))
  } catch (error) {
    // JobRun has a row of the run: an earlier try was committed and its answer lost, or another worker has ended the run. With
    // `hasRow` set, no end fails on such a row. The rescue sets it always, since an error would abort its transaction.
    if (!hasSqlState(error, UNIQUE_VIOLATION) || ends.every(({ hasRow }) => hasRow)) throw error
    const careful = ends.map((end) => ({ ...end, hasRow: true }))
    return await endAny(connection, workerId, careful, over)
  }
}

async function endAny(
  connection: Connection,
  workerId: string,
  ends: readonly End[],
  over: readonly string[],
): Promise<Map<string, Details | null>> {
  const isDurable = ends.some(
    (end) => end.isDurable && (end.next.kind === 'suspend' || end.error !== null),
  )
  const [statement, of] = isDurable ? [END_DURABLE, OF_DURABLE] : [END_RUNS, OF_EACH]
  const columns = Object.entries(of).map(
    ([name, { value }]) => [name, toColumn(ends.map(value))] as const,
  )
  const values = bind(statement, {
    ...Object.fromEntries(columns),
    workerId,
    claims: [...new Set(ends.map(({ claim }) => claim.id))],
    over,
    // Payloads are needed only for work that goes on, or that a person may start again.
    needsPayloads: ends.some(({ next }) => next.kind !== 'done' && next.kind !== 'over'),
  })
  // Not by its name: PostgreSQL plans it for the ends that it gets.
  const { rows } = await connection.query<{ id: string; details: Details | null }>(
    statement.text,
    values,
  )
  return new Map(rows.map(({ id, details }) => [id, details]))
}

/** The columns of ends that a statement gets. */
type OfEnd = Readonly<
  Record<string, { type: string; value: (end: End) => string | number | boolean | Date | null }>
>

const OF_EACH: OfEnd = {
  runId: { type: 'uuid', value: ({ runId }) => runId },
  claimId: { type: 'uuid', value: ({ claim }) => claim.id },
  atMs: { type: 'float8', value: ({ endedAt }) => endedAt.getTime() },
  code: { type: 'text', value: ({ error }) => error?.code ?? null },
  message: { type: 'text', value: ({ error }) => error?.message ?? null },
  details: { type: 'jsonb', value: ({ details }) => details },
  logs: { type: 'jsonb', value: ({ logs }) => logs },
  result: { type: 'jsonb', value: ({ result }) => result },
  hasRow: { type: 'bool', value: ({ hasRow }) => hasRow },
  next: { type: 'text', value: ({ next }) => next.kind },
  delayMs: {
    type: 'float8',
    value: ({ next }) => (next.kind === 'again' || next.kind === 'suspend' ? next.delayMs : 0),
  },
  failure: {
    type: 'int',
    value: ({ costs, forgives }) => Number(costs?.failure ?? false) - (forgives?.failures ?? 0),
  },
  loss: {
    type: 'int',
    value: ({ costs, forgives }) => Number(costs?.loss ?? false) - (forgives?.losses ?? 0),
  },
  lossAlone: {
    type: 'int',
    value: ({ costs, forgives }) =>
      Number(costs?.lossAlone ?? false) - (forgives?.lossesAlone ?? 0),
  },
  inARow: {
    type: 'jsonb',
    value: ({ costs }) => (costs?.inARow ? JSON.stringify(costs.inARow) : null),
  },
}

const OF_DURABLE: OfEnd = {
  ...OF_EACH,
  waits: { type: 'text', value: ({ next }) => ('waits' in next ? (next.waits ?? null) : null) },
  until: {
    type: 'timestamptz',
    value: ({ next }) => (next.kind === 'suspend' ? next.until : null),
  },
  hasMemo: { type: 'bool', value: ({ forgives }) => forgives !== undefined },
  isDurable: { type: 'bool', value: ({ isDurable = false }) => isDurable },
  deadlineMs: { type: 'float8', value: ({ deadlineMs = null }) => deadlineMs },
  failedStep: {
    type: 'jsonb',
    value: ({ failedStep }) => (failedStep ? JSON.stringify(failedStep) : null),
  },
}

/**
 * Most runs of a product with very many: for these it takes half as long.
 * @returns null if it has written nothing, since a cancellation of one of them is requested
 */
async function writePlain(
  connection: Connection,
  workerId: string,
  ends: readonly End[],
  over: readonly string[],
): Promise<Map<string, Details | null> | null> {
  const claims = [...new Set(ends.map(({ claim }) => claim.id))]
  const placeOf = new Map(claims.map((id, at) => [id, at + 1]))
  const { rows } = await connection.query<{
    isAsked: boolean
    ended: string[] | null
    details: Record<string, Details> | null
  }>(
    WRITE_PLAIN.text,
    bind(WRITE_PLAIN, {
      workerId,
      claims,
      runIds: toColumn(ends.map(({ runId }) => runId)),
      endedAtMs: toColumn(ends.map(({ endedAt }) => endedAt.getTime())),
      details: toColumn(ends.map(({ details }) => details)),
      places: toColumn(ends.map(({ claim }) => placeOf.get(claim.id) ?? null)),
      over,
    }),
  )
  const [{ isAsked, ended, details } = { isAsked: false, ended: [], details: null }] = rows
  if (isAsked) return null
  const written = new Map<string, Details | null>()
  for (const id of ended ?? ends.map(({ runId }) => runId)) written.set(id, details?.[id] ?? null)
  return written
}

/**
 * It returns the ids of the ended runs, or null if it has ended all. If a cancellation of any run is requested (`isAsked`), it does
 * nothing. One question for all runs costs less than one for each.
 * Race: packages/engine/test/control/control.test.ts "in a transaction that stays open does not hold up the end of a run, %s; the first request counts"
 */
export const WRITE_PLAIN = prepared(
  'roundsman_write_plain',
  `
  with asked as materialized (
    select exists (select from "JobCancel" where "runId" = any(:runIds::uuid[])) as "isAsked"
  ), claim as materialized (
    select "id", "name", "startedAt", "createdAt", "keys", case when "keys" is not null then "runIds" end as "keyed" from "JobClaim"
    where "id" = any(:claims::uuid[]) and "workerId" = :workerId and ${GIVES_WAY} and not (select "isAsked" from asked)
    order by "id" for key share
  ), ended as (
    insert into "JobRun" ("id", "name", "status", "trigger", "attempt", "startedAt", "endedAt", "details", "workId", "workerId", "createdAt", "key")
    select "end".id, claim."name", 'success', 'queue', 1, claim."startedAt",
           greatest(claim."startedAt", to_timestamp("end"."atMs" / 1000)), "end".details::jsonb, "end".id, :workerId, claim."createdAt",
           nullif(claim."keys"[array_position(claim."keyed", "end".id)], '')
    from unnest(:runIds::uuid[], :endedAtMs::float8[], :details::text[], :places::int[]) as "end"(id, "atMs", details, claim)
      join claim on claim."id" = (:claims::uuid[])["end".claim]
    returning "id", "details"
  ), let_go as (
    delete from "JobClaim" where "id" = any(:over::uuid[]) and "workerId" = :workerId and not (select "isAsked" from asked)
  )
  select (select "isAsked" from asked) as "isAsked",
         case when count(*) <> cardinality(:runIds::uuid[]) then coalesce(array_agg("id"::text), '{}') end as "ended",
         jsonb_object_agg("id", "details") filter (where "details" is not null) as "details"
  from ended`,
)

/** Columns that the end updates when the run's row exists. */
const RECORDED_AT_END = {
  status: `(case when "code" is null then 'success' else 'failed' end)::"JobRunStatus"`,
  endedAt: `greatest("startedAt", to_timestamp("atMs" / 1000))`,
  errorCode: '"code"',
  reason: `coalesce("facts" ->> 'reason', "cancelReason")`,
  workId: `case when "origin" <> 'hand' or "next" = 'keep' then "workId" end`,
  logs: '"logs"',
  result: '"result"',
  cancelRequestedAt: '"cancelledAt"',
  cancelRequestedBy: '"cancelledBy"',
  payloadId: '"keptId"',
}
/** A lost run keeps the lines that were written before. */
const LAST_LOGS = 'coalesce(excluded."logs", "JobRun"."logs")'
const RECORD = { ...RECORDED_AT_START, ...RECORDED_AT_END, details: '"details"' }
type Values = Readonly<Record<string, string>>

const recordSql = (which: string, values: Values) => `
    insert into "JobRun" (${listColumns(Object.keys(values))})
    select ${Object.values(values).join(', ')} from ended where ${which}`

const IN_A_ROW = `array['refused', 'payloadMissing']`
/** After a failed run by hand, the dead letter has its former facts again. */
const FACTS = `nullif("facts" - case when "origin" = 'deadLetter' then array['trigger', 'actor', 'reason'] else ${IN_A_ROW} end, '{}')`
const COUNTED = {
  failures: '"failures" + "failure"',
  losses: '"losses" + "loss"',
  lossesAlone: '"lossesAlone" + "lossAlone"',
}
const FACTS_AGAIN = `case when "inARow" is null then "facts" else nullif(coalesce("facts" - ${IN_A_ROW}, '{}') || "inARow", '{}') end`

/*
 *   claim      The claims of this worker that hold the runs, kept by a lock from being rescued meanwhile.
 *   ended      The runs that they hold. Work that has lost its unique key was replaced by newer work.
 *   inserted   A row in JobRun for each run without one; it has no clause for conflicts, which would cost a tenth of the statement.
 *   updated    The ends of runs that have a row.
 *   recorded, final   Runs whose ends this statement has recorded.
 *   again, waits, dead   The work goes back to the queue, waits in steps, or becomes a dead letter.
 *   children   The end of work for which a parent waits.
 *   kept, forgotten   Its payload stays, or is deleted.
 *   keyed, freed   Its unique key is released.
 *   obeyed     The request to cancel is deleted.
 *   let_go     Claims without a run under way are deleted.
 * Race: packages/engine/test/work/replace.test.ts "is started instead of what goes back to wait in the same moment"
 */
const endSql = (name: string, { record, of, turned, again, due, carried, dead, waits }: EndParts) =>
  prepared(
    name,
    `
  with claim as materialized (
    select * from "JobClaim" where "id" = any(:claims::uuid[]) and "workerId" = :workerId and ${GIVES_WAY}
    order by "id" for key share
  ), ended as materialized (
    select ended.*, case when "next" = 'keep' then coalesce("payloadId", case when "payload" is not null then gen_random_uuid() end) end as "keptId"
    from (select work.*, ${listEnd(of)}, cancel."requestedAt" as "cancelledAt", cancel."requestedBy" as "cancelledBy",
      cancel."reason" as "cancelReason",
      case ${turned} when "end"."next" in ('again', 'dead', 'keep') and ${isReplacedSql('work', 'workId')} then 'over' else "end"."next" end as "next"
    from (select ${HELD_COLUMNS} from claim ${heldSql('case when :needsPayloads::bool then claim."payloads" end')}) work
      join unnest(${Object.entries(of)
        .map(([column, { type }]) => `:${column}::${type}[]`)
        .join(', ')}) as "end"(${listColumns(Object.keys(of))})
        -- Where the database has lost a claim, a later one may hold the same run. PostgreSQL expects one row of an equality here,
        -- and would then compare each run with each.
        on "end"."runId" = work."runId" and case when "end"."claimId" = work."claimId" then true end
      left join "JobCancel" cancel on cancel."runId" = work."runId") ended
  ), inserted as (${recordSql('not "hasRow"', record)}
    returning "id", "details"
  ), updated as (${recordSql('"hasRow"', record)}
    on conflict ("id") do update set ${Object.keys(RECORDED_AT_END)
      .map((column) => `"${column}" = ${column === 'logs' ? LAST_LOGS : `excluded."${column}"`}`)
      .join(', ')},
      "details" = coalesce("JobRun"."details" || excluded."details", "JobRun"."details", excluded."details")
    where "JobRun"."status" = 'running' and "JobRun"."workerId" = excluded."workerId"
    returning "id", "details"
  ), recorded as (
    select * from inserted union all select * from updated
  ), final as materialized (
    select ended.* from ended join recorded on recorded."id" = ended."runId"
  ), again as (
    insert into "JobWork" ("id", "name", "place", "dueAt", ${CARRIED_COLUMNS})
    select "workId", "name", case when ${due.isNow} then ${PLACE_SQL} end, ${due.at},
      ${carriedValues({ ...COUNTED, facts: FACTS_AGAIN, ...carried })}
    from final where "next" in (${again})
  )${waits}, children as (${endChildrenSql('final', 'workId', `case when final."next" <> 'done' then coalesce(final."code", 'replaced') end`, 'final."result"')}
      and final."facts" ? 'child' and final."next" not in (${again})
  ), dead as (
    insert into "JobDeadLetter" ("id", "name", "errorCode", "errorMessage", ${CARRIED_COLUMNS})
    select "workId", "name", "code", "message", ${carriedValues({ ...COUNTED, facts: dead })}
    from final where "next" = 'dead'
  ), kept as (
    insert into "JobPayload" ("id", "workId", "payload")
    select "keptId", "workId", "payload" from final where "keptId" is not null and "payloadId" is null
  ), forgotten as (
    delete from "JobPayload" where "id" in (
      select "payloadId" from final where "next" in ('done', 'over') and "payloadId" is not null
    )
  ), keyed as (
    select "name", "uniqueKey", "workId" from final where "uniqueKey" is not null and "next" not in (${again})
  ), freed as (${releaseKeysSql('keyed', 'workId')}
  ), obeyed as (
    delete from "JobCancel" where "runId" in (select "runId" from final where "cancelledAt" is not null)
  ), let_go as (
    delete from "JobClaim" where "id" = any(:over::uuid[]) and "workerId" = :workerId
  )
  select "id"::text as "id", "details" from recorded`,
  )

/** The columns of an end, except `next`, which may change, and those that `work` has. */
const listEnd = (of: OfEnd) =>
  Object.keys(of)
    .filter((name) => !['runId', 'claimId', 'next'].includes(name))
    .map((name) => `"end"."${name}"`)
    .join(', ')

/** The parts by which ends of durable runs differ. */
interface EndParts {
  record: Values
  of: OfEnd
  /** A further case of what becomes of the work. */
  turned: string
  /** The outcome for work that continues. */
  again: string
  due: { isNow: string; at: string }
  carried: Values
  /** The facts of a dead letter. */
  dead: string
  waits: string
}

const AFTER_DELAY = `now() + "delayMs" * interval '1 millisecond'`
const END_RUNS = endSql('roundsman_end_runs', {
  ...{ record: RECORD, of: OF_EACH, turned: '', again: `'again'`, dead: FACTS, waits: '' },
  due: { isNow: '"delayMs" <= 0', at: AFTER_DELAY },
  carried: { attempt: '"attempt" + 1' },
})
/** Cancelled durable work continues at once after any end of its run, so that its handler can undo earlier steps. */
const IS_CANCELLED = `("cancelledAt" is not null and "isDurable")`
/** Its claim's row is as old as its start. */
const BEGUN_AT = `coalesce(("facts" ->> 'begunAt')::timestamptz, "createdAt")`
/** When the work continues, at the latest at its deadline: its next run then ends it. */
const WHEN_OVER = `case when ${IS_CANCELLED} then now()
  else coalesce(least("until", ${AFTER_DELAY}, ${BEGUN_AT} + "deadlineMs" * interval '1 millisecond'), ${NEVER_DUE}) end`
const END_DURABLE = endSql('roundsman_end_durable', {
  record: {
    ...RECORD,
    status: `(case when "next" = 'suspend' then 'suspended' when "code" is null then 'success' else 'failed' end)::"JobRunStatus"`,
  },
  of: OF_DURABLE,
  // Cancelled work undoes its steps after any end of its run.
  turned: `when "end"."next" = 'dead' and "end"."isDurable" and cancel."requestedAt" is not null
        and work."facts" -> 'cancelled' is distinct from 'true' and not ${isReplacedSql('work', 'workId')} then 'again'`,
  again: `'again', 'suspend'`,
  due: { isNow: `${WHEN_OVER} <= now()`, at: WHEN_OVER },
  carried: {
    attempt: `"attempt" + case when "next" = 'again' then 1 else 0 end`,
    resumptions: `case when "next" = 'suspend' then 1 when "hasMemo" or "resumptions" is not null then 0 end`,
    facts: `case when not "isDurable" then ${FACTS_AGAIN} else coalesce(${FACTS_AGAIN}, '{}') || jsonb_build_object('begunAt', ${BEGUN_AT})
      || case when "cancelledAt" is null then '{}' else '{"cancelled": true}'::jsonb end end`,
  },
  dead: `case when "failedStep" is null then ${FACTS} else coalesce(${FACTS}, '{}') || jsonb_build_object('failedStep', "failedStep") end`,
  waits: `, waits as (${INSERT_WAITS_SQL}
  ), cancelled as materialized (
    select "workId" from final where "code" = 'cancelled' and "isDurable" and "next" not in ('again', 'suspend')
  ), abandoned as (${abandonChildrenSql('cancelled', 'workId')} and child."workId" not in (select "workId" from final)
  )`,
})

/**
 * Finds ends that an earlier commit recorded whose answer never came, with their whole details: this worker ended the run at
 * the same moment with the same code. Any other end was written by another worker.
 */
export async function findEnded(
  connection: Connection,
  workerId: string,
  ends: readonly Pick<End, 'runId' | 'endedAt' | 'error'>[],
): Promise<Map<string, Details | null>> {
  const { rows } = await connection.query<{ id: string; details: Details | null }>(FIND_ENDED_SQL, [
    workerId,
    toColumn(ends.map(({ runId }) => runId)),
    toColumn(ends.map(({ endedAt }) => endedAt)),
    toColumn(ends.map(({ error }) => error?.code ?? null)),
  ])
  return new Map(rows.map(({ id, details }) => [id, details]))
}

const FIND_ENDED_SQL = `
  select run."id"::text as "id", run."details"
  from unnest($2::uuid[], $3::timestamptz[], $4::text[]) as "end"(id, at, code)
    join "JobRun" run on run."id" = "end".id
  where run."id" = any($2::uuid[]) and run."status" <> 'running' and run."workerId" = $1
    and run."endedAt" = "end".at and run."errorCode" is not distinct from "end".code`

/** Deletes claims without runs under way. Returns the ids of locked claims, which stay. */
export async function deleteClaims(
  connection: Connection,
  claimIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const { rows } = await connection.query<{ id: string }>(DELETE_CLAIMS_SQL, [claimIds])
  return new Set(rows.map(({ id }) => id))
}

const DELETE_CLAIMS_SQL = `
  with gone as (
    delete from "JobClaim" where "id" in (
      select "id" from "JobClaim" where "id" = any($1::uuid[]) order by "id" for update skip locked
    ) returning "id"
  )
  select "id"::text as "id" from "JobClaim" where "id" = any($1::uuid[]) and "id" not in (select "id" from gone)`
