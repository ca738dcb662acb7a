import type { Counts } from '../job/handler.ts'
import type { Job } from '../job/defineJob.ts'
import type { NewRun } from '../store/claimWork.ts'
import type { Connection } from '../store/database.ts'

/**
 * Records a run that no claim recorded (`worker:once`), before its handler starts. Returns false, and records nothing, when
 * a run with its exclusive key is under way.
 */
export async function recordRun(
  tx: Connection,
  workerId: string,
  run: NewRun,
  claim: { id: string; exclusiveKey: string | null },
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `with claim as (
       insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "runIds")
       values ($14::uuid, $2, $11, $15, array[$1::uuid])
       on conflict ("exclusiveKey") do nothing
       returning "id"
     )
     insert into "JobRun" ("id", "name", "trigger", "attempt", "scheduledFor", "startedAt", "dryRun", "actor", "reason",
                           "workId", "workerId", "label", "shown")
     select $1::uuid, $2::text, $3::"JobTrigger", $4::int, $5::timestamptz, $6::timestamptz, $7::boolean, $8::text, $9::text,
            $10::uuid, $11::text, $12::text, $13::jsonb
     from claim`,
    [
      run.id,
      run.name,
      run.trigger,
      run.attempt,
      run.scheduledFor,
      run.startedAt,
      run.dryRun,
      run.actor,
      run.reason,
      run.workId,
      workerId,
      run.label ?? null,
      run.shown === undefined ? null : JSON.stringify(run.shown),
      claim.id,
      claim.exclusiveKey,
    ],
  )
  return rowCount === 1
}

/** The key that keeps two runs of an exclusive job apart; null for dry runs, which change nothing. */
export function exclusiveKey(job: Job, dryRun: boolean): string | null {
  return job.isExclusive && !dryRun ? job.name : null
}

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
