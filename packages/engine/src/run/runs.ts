import { GIVES_WAY } from '../database/giveWay.ts'
import { listColumns } from '../queue/carried.ts'
import { HELD_AT, HELD_COLUMNS, RECORDED_AT_START } from '../queue/heldRuns.ts'
import type { Counts } from '../job/handler.ts'
import type { Connection } from '../database/database.ts'
import type { Taken } from '../queue/taken.ts'

/** Stores a run's progress, while the run is still this worker's. */
export async function keepProgress(
  connection: Connection,
  workerId: string,
  runId: string,
  progress: { done: number; total: number | null },
): Promise<void> {
  await connection.query(
    `update "JobRun" set "progress" = $3::jsonb
     where "id" = $1 and "workerId" = $2 and "status" = 'running'`,
    [runId, workerId, JSON.stringify(progress)],
  )
}

/** With more batches than this, 8 to 16 marks stay, beside that of the first batch. */
const BATCH_MARKS = 16

/**
 * Adds a batch's counts to its run in the batch's transaction, with a mark of when that was, in milliseconds since 1970.
 * A mark holds the totals by then, so every second one can go when there are too many. All parameters are plain values and
 * texts, which every library can send.
 */
export const ADD_COUNTS_SQL = `
  update "JobRun" run
  set ("details", "batchMarks") = (
    select counted.details, case when ($3::jsonb ->> 'batches')::int = 0 then run."batchMarks" else coalesce(
      (select jsonb_agg(mark order by (mark ->> 'batches')::int)
       from jsonb_array_elements(run."batchMarks") mark
       where (mark ->> 'batches')::int = 1 or (mark ->> 'batches')::int % spread.stride = 0),
      '[]'
    ) || jsonb_build_array(jsonb_build_object(
      'at', $4::bigint, 'batches', counted.details -> 'batches', 'counts', counted.details - 'batches'
    )) end
    from (
      select coalesce(run."details", '{}') || (
        select jsonb_object_agg(key, coalesce((run."details" ->> key)::numeric, 0) + value::numeric)
        from jsonb_each_text($3::jsonb)
      ) as details
    ) counted, lateral (
      -- The least power of two by which there are not too many. Once, and not for each mark.
      select power(2, ceil(log(2, greatest(
        (counted.details ->> 'batches')::numeric / ${BATCH_MARKS}, 1))))::int as stride offset 0
    ) spread
  )
  where "id" = $1::uuid and "workerId" = $2 and "status" = 'running'
  returning "id"`

/**
 * How many rows the attempts at work `$1` before its attempt `$2` have changed: what their batches counted as `cleaned`, or
 * all that they counted above zero where that is not among it.
 */
export const COUNT_BY_EARLIER_ATTEMPTS_SQL = `
  select coalesce(sum(coalesce((counts ->> 'cleaned')::float8, (
    select sum(greatest(value::float8, 0)) from jsonb_each_text(counts)
  ))), 0) as "count"
  from (
    select run."batchMarks" #> '{-1,counts}' as counts from "JobRun" run where run."workId" = $1 and run."attempt" < $2
  ) earlier`

/** Adds `batches` to a batch's counts: 1, or 0 for a batch that changed nothing. */
export function countBatch(counts: Counts): Counts {
  return { ...counts, batches: Object.values(counts).some((count) => count !== 0) ? 1 : 0 }
}

/**
 * Writes a run into JobRun as running, before its first batch or its progress is stored there. It does nothing where JobRun has
 * the run already, or its claim does not hold it any more: later writes then find no row.
 */
export async function recordRunning(
  connection: Connection,
  workerId: string,
  { id, claim }: Pick<Taken, 'id' | 'claim'>,
): Promise<void> {
  await connection.query(RECORD_RUNNING_SQL, [workerId, claim.id, id])
}

const RECORD_RUNNING_SQL = `
  insert into "JobRun" (${listColumns(Object.keys(RECORDED_AT_START))})
  select ${Object.values(RECORDED_AT_START).join(', ')}
  from (
    select ${HELD_COLUMNS}
    from (
      select *, array_position("runIds", $3::uuid) as "at" from "JobClaim"
      where "id" = $2::uuid and "workerId" = $1 and "runIds" @> array[$3::uuid] and ${GIVES_WAY} for key share
    ) ${HELD_AT}
  ) held
  on conflict ("id") do nothing`
