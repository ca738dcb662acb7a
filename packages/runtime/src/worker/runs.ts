import type { Counts, Details, Job, JobTrigger } from '../contract/index.ts'
import type { Connection } from '../queue/database.ts'
import { toColumn } from '../queue/toColumn.ts'

/** A run that is about to start. */
export interface NewRun {
  id: string
  name: string
  trigger: JobTrigger
  attempt: number
  scheduledFor: Date | null
  startedAt: Date
  dryRun: boolean
  actor: string | null
  reason: string | null
  queueJobId: string | null
  /** At most one running run may carry the same key. */
  exclusiveKey: string | null
}

export interface RunEnd {
  id: string
  status: 'success' | 'failed'
  endedAt: Date
  /** Merged into what the run's batches have counted. */
  details: Details | null
}

/**
 * Records runs before their handlers start and returns how many: one is missing when another run with its
 * exclusive key is under way.
 */
export async function recordRuns(
  tx: Connection,
  workerId: string,
  runs: readonly NewRun[],
): Promise<number> {
  const column = (key: keyof NewRun) => toColumn(runs.map((run) => run[key]))
  // What can't conflict is not looked for: that is a third of the cost.
  const isExclusive = runs.some((run) => run.exclusiveKey !== null)
  const { rowCount } = await tx.query(
    `insert into "JobRun" ("id", "name", "trigger", "attempt", "scheduledFor", "startedAt", "dryRun", "actor",
                           "reason", "queueJobId", "exclusiveKey", "workerId")
     select id, name, trigger::"JobTrigger", attempt, "scheduledFor", "startedAt", "dryRun", actor, reason,
            "queueJobId", "exclusiveKey", $12
     from unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::timestamptz[], $7::bool[],
                 $8::text[], $9::text[], $10::uuid[], $11::text[])
       as run(id, name, trigger, attempt, "scheduledFor", "startedAt", "dryRun", actor, reason, "queueJobId",
              "exclusiveKey")
     ${isExclusive ? `on conflict ("exclusiveKey") where "status" = 'running' do nothing` : ''}`,
    [
      column('id'),
      column('name'),
      column('trigger'),
      column('attempt'),
      column('scheduledFor'),
      column('startedAt'),
      column('dryRun'),
      column('actor'),
      column('reason'),
      column('queueJobId'),
      column('exclusiveKey'),
      workerId,
    ],
  )
  return rowCount ?? 0
}

/**
 * Ends the runs of earlier attempts at the same work that still count as running: the queue has given it out
 * again because they exceeded every limit, so they must commit nothing more.
 */
export async function endEarlierAttempts(
  tx: Connection,
  runs: readonly NewRun[],
  endedAt: Date,
): Promise<void> {
  const retried = runs.filter(({ attempt }) => attempt > 1)
  if (retried.length === 0) return
  const error = {
    code: 'expired',
    message: 'It was still running when its work was given out again',
  }
  await tx.query(
    `update "JobRun" run
     set "status" = 'failed', "endedAt" = $3, "details" = coalesce(run."details", '{}') || $4::jsonb
     from unnest($1::uuid[], $2::int[]) as retried("queueJobId", attempt)
     where run."queueJobId" = retried."queueJobId" and run."attempt" < retried.attempt
       and run."status" = 'running'`,
    [
      retried.map(({ queueJobId }) => queueJobId),
      retried.map(({ attempt }) => attempt),
      endedAt,
      JSON.stringify({ error } satisfies Details),
    ],
  )
}

/**
 * Ends runs and returns the whole details of those ended. One that is missing was not this worker's any
 * more: whoever took it over has ended it.
 */
export async function endRuns(
  tx: Connection,
  workerId: string,
  ends: readonly RunEnd[],
): Promise<Map<string, Details | null>> {
  const { rows } = await tx.query<{ id: string; details: Details | null }>(
    `update "JobRun" run
     set "status" = ended.status::"JobRunStatus",
         "endedAt" = ended."endedAt",
         "details" = coalesce(run."details" || ended.details::jsonb, run."details", ended.details::jsonb)
     from unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::text[]) as ended(id, status, "endedAt", details)
     where run."id" = ended.id and run."status" = 'running' and run."workerId" = $1
     returning run."id", run."details"`,
    [
      workerId,
      toColumn(ends.map(({ id }) => id)),
      toColumn(ends.map(({ status }) => status)),
      toColumn(ends.map(({ endedAt }) => endedAt)),
      toColumn(
        ends.map(({ details }) =>
          details === null || Object.keys(details).length === 0 ? null : JSON.stringify(details),
        ),
      ),
    ],
  )
  return new Map(rows.map(({ id, details }) => [id, details]))
}

/** A dry run changes nothing, so it may go on beside any other. */
export function exclusiveKey(job: Job, dryRun: boolean): string | null {
  return job.isExclusive && !dryRun ? job.name : null
}

/** Keeps how far a run says it is, while it is still this worker's. */
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

/** So many marks are kept at most, and at least half as many once there were, beside that of the first batch. */
const BATCH_MARKS = 16

/**
 * For the transaction of a batch: adds its counts to its run, and marks when that was, in milliseconds since 1970.
 * A mark holds all that was counted by then, so that dropping the ones between makes none of the others wrong:
 * every second one goes when there are too many. It takes no more than values and texts.
 */
export const ADD_COUNTS_SQL = `
  update "JobRun" run
  set ("details", "batchMarks") = (
    select counted.details, case when ($3::jsonb ->> 'batches')::int = 0 then run."batchMarks" else coalesce(
      (select jsonb_agg(mark order by (mark ->> 'batches')::int)
       from jsonb_array_elements(run."batchMarks") mark
       where (mark ->> 'batches')::int = 1 or (mark ->> 'batches')::int % spread.stride = 0),
      '[]'
    ) || jsonb_build_array(jsonb_build_object('at', $4::bigint) || counted.details) end
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

/** Counts of a batch as they are stored: a batch that changed nothing is not counted as one. */
export function countBatch(counts: Counts): Counts {
  return { ...counts, batches: Object.values(counts).some((count) => count !== 0) ? 1 : 0 }
}
