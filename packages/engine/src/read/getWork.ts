import type { Job } from '../job/defineJob.ts'
import { checkIdOf, checkUniqueKey, checkWorkIds } from '../arguments/queries.ts'
import { LATEST_RUN_FIRST, RUNS_UNDER_WAY } from '../queue/heldRuns.ts'
import type { JobsReader } from './reader.ts'

/**
 * The state of a piece of work. `waiting`: not started, or waiting for a retry; not before `startAfter`, ISO 8601 in UTC.
 * `failed`: a dead letter; or given up, cancelled or expired, known as long as its run or the action is kept.
 */
export type WorkState =
  | { kind: 'waiting'; startAfter: string }
  | { kind: 'running' }
  | { kind: 'completed' }
  | { kind: 'failed'; errorCode: string }

const wasCancelledWithOthers = (id: string) => `exists (
             select from "JobAction" many where many."pieces" @> array[${id}] and many."action" = 'cancelWork'
           )`

/**
 * The state of the work `$2` of job `$1` at one moment. Waiting work has a row, running work a claim, given-up work a dead
 * letter. For all other work, its last run or its cancellation decides; `state` is null if there is neither. `runId`, `message`
 * and `result` belong to the last run on record.
 */
export const STATE_OF_WORK_SQL = `
  with held as materialized (
    select run."workId" from ${RUNS_UNDER_WAY} where run."name" = $1 and run."workId" = any($2::uuid[])
  )
  select wanted.id::text as "id", case
           when work."id" is not null then 'waiting'
           when run."status" = 'success' then 'completed'
           when run."status" = 'running' or wanted.id in (select "workId" from held) then 'running'
           when letter."id" is not null then 'failed'
           when action."isCancelled" or ${wasCancelledWithOthers('wanted.id')} then 'cancelled'
           when run."status" = 'failed' then 'failed'
         end as "state", work."dueAt" as "startAfter", coalesce(run."errorCode", letter."errorCode") as "errorCode",
         coalesce(left(run."details" #>> '{error,message}', 2000), left(letter."errorMessage", 2000)) as "errorMessage",
         run."id" as "runId", run."result"::text as "result"
  from unnest($2::uuid[]) wanted(id)
  left join "JobWork" work on work."id" = wanted.id and work."name" = $1
  left join "JobDeadLetter" letter on letter."id" = wanted.id and letter."name" = $1
  left join lateral (
    select true as "isCancelled" from "JobAction" action
    where action."workId" = wanted.id and action."name" = $1 and action."action" = 'cancelWork' limit 1
  ) action on true
  left join lateral (
    select run.* from "JobRun" run where run."workId" = wanted.id and run."name" = $1
    order by run."attempt" desc, ${LATEST_RUN_FIRST} limit 1
  ) run on true`

const FIND_WORK_SQL = `
  select "id", "state", "startAfter", "errorCode" from (${STATE_OF_WORK_SQL}) work where "state" is not null`

/** The work that holds the unique key `$2`, otherwise the last that was given up with it since `$3`. */
const FIND_WORK_BY_KEY_SQL = `
  with holder as materialized (
    select "workId" from "JobUnique" where "name" = $1 and "key" = $2
  )
  select holder."workId"::text as "id", case when work."id" is not null then 'waiting' else 'running' end as "state",
         work."dueAt" as "startAfter", null as "errorCode"
  from holder left join "JobWork" work on work."id" = holder."workId"
  where work."id" is not null
    or exists (select from ${RUNS_UNDER_WAY} where run."name" = $1 and run."workId" = holder."workId")
  union all (
    select letter."id"::text, 'failed', null, letter."errorCode" from "JobDeadLetter" letter
    where letter."name" = $1 and letter."failedAt" >= $3::timestamptz and letter."uniqueKey" = $2
    order by letter."failedAt" desc limit 1
  )
  order by "errorCode" nulls first limit 1`

/** Finds a piece of work. Null if it is unknown. Completed work is known as long as its run is kept. */
export async function getWork(
  reader: JobsReader,
  job: Pick<Job, 'name'>,
  workId: string,
): Promise<WorkState | null> {
  const id = checkIdOf(reader, 'workId', workId)
  return (await getManyWork(reader, job, [id])).get(id) ?? null
}

/** Finds many pieces with one statement, by their ids in lower case. Unknown ones are missing in the answer. */
export async function getManyWork(
  reader: JobsReader,
  job: Pick<Job, 'name'>,
  workIds: readonly string[],
): Promise<Map<string, WorkState>> {
  const { name, ids } = checkWorkIds(reader, job, workIds)
  if (ids.length === 0) return new Map()
  const rows = await reader.rows<WorkRow>({
    text: FIND_WORK_SQL,
    values: [name, ids],
  })
  return new Map(rows.map((row) => [row.id, toWorkState(row)]))
}

/**
 * Finds the work that holds a unique key, otherwise the last that was given up with it since an instant. Null if there is
 * neither: the work was completed, discarded, or never enqueued.
 */
export async function getWorkByKey(
  reader: JobsReader,
  job: Pick<Job, 'name'>,
  uniqueKey: string,
  failedSince: Date,
): Promise<WorkState | null> {
  const asked = checkUniqueKey(reader, job, uniqueKey, failedSince)
  const [row] = await reader.rows<WorkRow>({
    text: FIND_WORK_BY_KEY_SQL,
    values: [asked.name, asked.uniqueKey, asked.failedSince.toISOString()],
  })
  return row === undefined ? null : toWorkState(row)
}

/** A row of STATE_OF_WORK_SQL. */
export interface StateOfWork {
  id: string
  state: 'waiting' | 'running' | 'completed' | 'cancelled' | 'failed' | null
  /** Null unless it waits. */
  startAfter: string | null
  errorCode: string | null
  errorMessage: string | null
  runId: string | null
  /** As JSON. */
  result: string | null
}

type WorkRow = Pick<StateOfWork, 'id' | 'startAfter' | 'errorCode'> & {
  state: NonNullable<StateOfWork['state']>
}

function toWorkState({ state, startAfter, errorCode }: WorkRow): WorkState {
  switch (state) {
    case 'waiting':
      return { kind: state, startAfter: startAfter as string }
    case 'running':
    case 'completed':
      return { kind: state }
    case 'cancelled':
      return { kind: 'failed', errorCode: state }
    case 'failed':
      return { kind: state, errorCode: errorCode as string }
    default:
      return state satisfies never
  }
}
