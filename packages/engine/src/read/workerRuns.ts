import { boundedText } from './bounded.ts'
import type { RunStatus } from './jobRuns.ts'
import type { JobsReader } from './reader.ts'
import { outcomeOf, type RunOutcome } from '../job/runOutcome.ts'

/** Instants are ISO 8601 in UTC. */
export interface WorkerRun {
  id: string
  name: string
  /** The label of its work; null without one. */
  label: string | null
  status: RunStatus
  outcome: RunOutcome
  errorCode: string | null
  startedAt: string
  endedAt: string | null
  /** By the database's clock, which the worker's may be ahead of. */
  createdAt: string
}

export interface WorkerRuns {
  /** The runs under way and the latest that ended, the oldest first. */
  runs: WorkerRun[]
  /** `runs` holds all runs of the worker since this instant. */
  since: string
}

export interface WorkerRunsOptions {
  workerId: string
  from: Date
  to: Date
}

const MOST_UNDER_WAY = 200
const MOST_ENDED = 20
/**
 * How many runs of all workers a call looks through, which takes some hundredths of a second. An index by worker would cost
 * every run.
 */
const MOST_LOOKED_AT = 20_000

const RUN = `run."id", ${boundedText('run."name"')} as "name", ${boundedText('run."label"')} as "label", run."startedAt", run."createdAt"`

/** Lists the runs that a worker carries out, and the latest that it ended in a span, as far as a bounded look finds them. */
export async function listWorkerRuns(
  reader: JobsReader,
  { workerId, from, to }: WorkerRunsOptions,
): Promise<WorkerRuns> {
  const [underWay, ended] = await Promise.all([
    // Includes runs that only its claims list.
    reader.rows<WorkerRun>({
      text: `
        select ${RUN}, 'running' as "status", 'running' as "outcome", null as "errorCode", null as "endedAt"
        from "JobRunAll" run
        where run."status" = 'running' and run."workerId" = $1 and run."id" = any(array(
          select unnest("runIds") from "JobClaim" where "workerId" = $1
        ))
        order by run."startedAt" limit ${MOST_UNDER_WAY}`,
      values: [workerId],
    }),
    reader.rows<WorkerRun>({
      text: `
        select ${RUN}, run."status", ${outcomeOf('run.')} as "outcome", ${boundedText('run."errorCode"')} as "errorCode", run."endedAt"
        from (
          select * from "JobRun" where "startedAt" >= $2::timestamptz and "startedAt" < $3::timestamptz
          order by "startedAt" desc, "id" desc limit ${MOST_LOOKED_AT}
        ) run
        where run."workerId" = $1 and run."status" <> 'running'
        order by run."startedAt" desc, run."id" desc limit ${MOST_ENDED}`,
      values: [workerId, from.toISOString(), to.toISOString()],
    }),
  ])
  const [cut] =
    ended.length < MOST_ENDED
      ? await reader.rows<{ startedAt: string }>({
          text: `
            select "startedAt" from "JobRun" where "startedAt" >= $1::timestamptz and "startedAt" < $2::timestamptz
            order by "startedAt" desc, "id" desc offset ${MOST_LOOKED_AT - 1} limit 1`,
          values: [from.toISOString(), to.toISOString()],
        })
      : ended.slice(-1)
  const runs = [...underWay, ...ended].toSorted((one, other) =>
    one.startedAt < other.startedAt ? -1 : 1,
  )
  return { runs, since: cut?.startedAt ?? from.toISOString() }
}
