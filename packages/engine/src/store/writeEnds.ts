import type { Details } from '../job/handler.ts'
import type { HeldClaim } from './claimWork.ts'
import type { Connection } from './database.ts'
import { GIVES_WAY } from './giveWay.ts'
import { tells, TOLD_SQL, toldValues, type EndToRecord } from './settleWork.ts'
import { hasSqlState, UNIQUE_VIOLATION } from './sqlState.ts'
import { WRITE_OUT_AFTER_MS } from './starts.ts'
import { toColumn } from './toColumn.ts'

/** The end of a run that a start holds (starts.ts). */
type EndOfStarted = EndToRecord & {
  ended: { held: Pick<HeldClaim, 'id' | 'hasClaim' | 'takenAt'> }
}

/**
 * Writes runs that have succeeded and whose starts still hold them, and deletes the starts `startIds`. A run that is
 * missing in the answer was written by somebody else, or is not this worker's any more.
 */
export async function writeEnds(
  connection: Connection,
  workerId: string,
  ends: readonly EndOfStarted[],
  startIds: readonly string[],
): Promise<Map<string, Details | null>> {
  const runIds = ends.map(({ ended }) => ended.run.id)
  const held = [...new Set(ends.map(({ ended }) => ended.held.id))]
  const placeOf = new Map(held.map((id, at) => [id, at + 1]))
  const hasRareColumns = ends.some(fillsRareColumn)
  const values = [
    workerId,
    toColumn(runIds),
    held,
    toColumn(ends.map(({ ended }) => placeOf.get(ended.held.id) ?? null)),
    toColumn(ends.map(({ ended }) => ended.endedAt.getTime())),
    toColumn(ends.map(({ details }) => details)),
    startIds,
    ...(hasRareColumns ? rareColumnsOf(ends) : []),
  ]
  const write = async (ifWritten: IfWritten) => {
    const sql = (hasRareColumns ? WRITE_ENDS_WITH_RARE_COLUMNS : WRITE_ENDS)[ifWritten]
    const { rows } = await connection.query<{
      written: string[] | null
      details: Record<string, Details>
    }>(sql, values)
    const [{ written, details } = { written: [], details: {} }] = rows
    return new Map((written ?? runIds).map((id) => [id, details[id] ?? null]))
  }
  if (ends.some(({ ended }) => mayBeWritten(ended.held))) return await write('passOver')
  try {
    return await write('fail')
  } catch (error) {
    // A run is written already. By the code: while somebody rebuilds the primary key, it has other names.
    if (!hasSqlState(error, UNIQUE_VIOLATION)) throw error
    return await write('passOver')
  }
}

/** Whether somebody is likely to have written out runs of this start. */
function mayBeWritten({ hasClaim = false, takenAt }: EndOfStarted['ended']['held']): boolean {
  return (
    hasClaim || takenAt === undefined || performance.now() - takenAt.monotonic > WRITE_OUT_AFTER_MS
  )
}

/** Whether a run fills columns that most runs leave empty: label, shown, log lines, result. */
function fillsRareColumn({ ended }: EndOfStarted): boolean {
  const { label, shown } = ended.run
  return (label ?? shown ?? null) !== null || tells(ended)
}

function rareColumnsOf(ends: readonly EndOfStarted[]): unknown[] {
  const runs = ends.map(({ ended }) => ended.run)
  return [
    toColumn(runs.map(({ label }) => label ?? null)),
    toColumn(runs.map(({ shown }) => (shown ? JSON.stringify(shown) : null))),
    ...toldValues(ends),
  ]
}

/** What the statement does when a run is written already: nothing at all, by an error, or the same without that run. */
type IfWritten = 'fail' | 'passOver'

/**
 * start    The starts that still are this worker's, kept by a lock from being written out meanwhile.
 * ended    A row in JobRun for each run.
 * let_go   The starts `startIds` go.
 *
 * It answers with the ids of the runs written, or null when it wrote all, and with their details. Its parameters:
 *
 *   $1 the worker's id   $3 ids of starts   $7 ids of the starts to let go
 *   $2 ids of runs, and for each   $4 the place of its start in $3   $5 its end in milliseconds since 1970   $6 details
 */
const writeEndsSql = (hasRareColumns: boolean, ifWritten: IfWritten) => `
  with start as materialized (
    select "id", "name", "startedAt", "createdAt" from "JobStart"
    where "id" = any($3::uuid[]) and "workerId" = $1 and ${GIVES_WAY}
    order by "id" for key share
  ), ended as (
    insert into "JobRun" ("id", "name", "status", "trigger", "attempt", "startedAt", "endedAt", "details", "workId",
                          "workerId", "createdAt"${hasRareColumns ? `, "label", "shown", ${TOLD_SQL.names}` : ''})
    select "end".id, start."name", 'success', 'queue', 1, start."startedAt", to_timestamp("end"."atMs" / 1000),
           "end".details::jsonb, "end".id, $1, start."createdAt"${hasRareColumns ? `, "end".label, "end".shown::jsonb, ${TOLD_SQL.values}` : ''}
    from unnest($2::uuid[], $4::int[], $5::float8[], $6::text[]${hasRareColumns ? `, $8::text[], $9::text[], ${TOLD_SQL.parameters}` : ''})
        as "end"(id, place, "atMs", details${hasRareColumns ? `, label, shown, ${TOLD_SQL.names}` : ''})
      join start on start."id" = ($3::uuid[])["end".place]
    ${ifWritten === 'passOver' ? 'on conflict ("id") do nothing' : ''}
    returning "id", "details"
  ), let_go as (
    delete from "JobStart" where "id" = any($7::uuid[])
  )
  select case when count(*) <> cardinality($2::uuid[]) then coalesce(array_agg("id"::text), '{}') end as "written",
         coalesce(jsonb_object_agg("id", "details") filter (where "details" is not null), '{}') as "details"
  from ended`

/** To look whether each run is written costs a tenth of the statement, so that is left to its failure where few are. */
const WRITE_ENDS = {
  fail: writeEndsSql(false, 'fail'),
  passOver: writeEndsSql(false, 'passOver'),
} satisfies Record<IfWritten, string>
/** Only for groups in which some run fills such a column: the plain statements are cheaper. */
const WRITE_ENDS_WITH_RARE_COLUMNS = {
  fail: writeEndsSql(true, 'fail'),
  passOver: writeEndsSql(true, 'passOver'),
} satisfies Record<IfWritten, string>
