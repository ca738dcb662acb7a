import type { Details } from '../index.ts'
import type { Connection } from './database.ts'
import { tells, TOLD_SQL, toldValues, type EndToRecord } from './settleWork.ts'
import { toColumn } from './toColumn.ts'

/** The end of a run that a start holds (starts.ts). */
type EndOfStarted = EndToRecord & { ended: { held: { id: string } } }

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
  const hasRareColumns = ends.some(fillsRareColumn)
  const { rows } = await connection.query<{
    written: string[] | null
    details: Record<string, Details>
  }>(hasRareColumns ? WRITE_ENDS_WITH_RARE_COLUMNS_SQL : WRITE_ENDS_SQL, [
    workerId,
    toColumn(runIds),
    toColumn(ends.map(({ ended }) => ended.held.id)),
    toColumn(ends.map(({ ended }) => ended.endedAt)),
    toColumn(ends.map(({ details }) => details)),
    startIds,
    ends.length,
    ...(hasRareColumns ? rareColumnsOf(ends) : []),
  ])
  const [{ written, details } = { written: [], details: {} }] = rows
  return new Map((written ?? runIds).map((id) => [id, details[id] ?? null]))
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

/**
 * start    The starts that still are this worker's, kept by a lock from being written out meanwhile.
 * ended    A row in JobRun for each run, unless it has one.
 * let_go   The starts `startIds` go.
 *
 * It answers with the ids of the runs written, or null when it wrote all, and with their details.
 */
const writeEndsSql = (hasRareColumns: boolean) => `
  with start as materialized (
    select "id", "name", "startedAt", "createdAt" from "JobStart"
    where "id" = any(array(select distinct unnest($3::uuid[]))) and "workerId" = $1
    order by "id" for key share
  ), ended as (
    insert into "JobRun" ("id", "name", "status", "trigger", "attempt", "startedAt", "endedAt", "details", "queueJobId",
                          "workerId", "createdAt"${hasRareColumns ? `, "label", "shown", ${TOLD_SQL.names}` : ''})
    select "end".id, start."name", 'success', 'queue', 1, start."startedAt", "end".at, "end".details::jsonb, "end".id,
           $1, start."createdAt"${hasRareColumns ? `, "end".label, "end".shown::jsonb, ${TOLD_SQL.values}` : ''}
    from unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[]${hasRareColumns ? `, $8::text[], $9::text[], ${TOLD_SQL.parameters}` : ''})
        as "end"(id, "startId", at, details${hasRareColumns ? `, label, shown, ${TOLD_SQL.names}` : ''})
      join start on start."id" = "end"."startId"
    on conflict ("id") do nothing
    returning "id", "details"
  ), let_go as (
    delete from "JobStart" where "id" = any($6::uuid[])
  )
  select case when count(*) <> $7::int then coalesce(array_agg("id"::text), '{}') end as "written",
         coalesce(jsonb_object_agg("id", "details") filter (where "details" is not null), '{}') as "details"
  from ended`

const WRITE_ENDS_SQL = writeEndsSql(false)
/** Only for groups in which some run fills such a column: the plain statement is cheaper. */
const WRITE_ENDS_WITH_RARE_COLUMNS_SQL = writeEndsSql(true)
