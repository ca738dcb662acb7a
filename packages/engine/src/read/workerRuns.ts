import { RUNS_UNDER_WAY } from '../store/starts.ts'
import { boundedText } from './bounded.ts'
import type { RunStatus } from './jobRuns.ts'
import type { Reader, Statement } from './reader.ts'
import { runOutcome, type RunOutcome } from './runOutcome.ts'

/** Instants are ISO 8601 in UTC. */
export interface WorkerRun {
  id: string
  name: string
  /** What it was about, where its job says. */
  label: string | null
  status: RunStatus
  outcome: RunOutcome
  errorCode: string | null
  startedAt: string
  endedAt: string | null
}

export interface WorkerRuns {
  /** Those that are under way, and the latest that ended, the oldest first. */
  runs: WorkerRun[]
  /** The start of the span of which these are all that the worker has run. */
  since: string
}

export interface WorkerRunsOptions {
  workerId: string
  from: Date
  to: Date
}

/** As many as can be told apart. */
const MOST = 200
/**
 * Runs have no index by their worker, which each of them would pay for. So many runs of all workers are looked through, as
 * many as take some hundredths of a second.
 */
const MOST_LOOKED_AT = 20_000

/** What a worker runs, and what it has run in a span: of that the latest, as far as a bounded look finds them. */
export async function listWorkerRuns(
  reader: Reader,
  options: WorkerRunsOptions,
): Promise<WorkerRuns> {
  const { from, to } = options
  const [underWay, ended] = await Promise.all([
    reader.rows<WorkerRunRow>(underWayQuery(options)),
    reader.rows<WorkerRunRow>(workerRunsQuery(options)),
  ])
  const [cut] =
    ended.length < MOST
      ? await reader.rows<{ startedAt: string }>({
          text: `
            select "startedAt" from "JobRun" where "startedAt" >= $1::timestamptz and "startedAt" < $2::timestamptz
            order by "startedAt" desc, "id" desc offset ${MOST_LOOKED_AT - 1} limit 1`,
          values: [from.toISOString(), to.toISOString()],
        })
      : ended.slice(-1)
  const runs = [...underWay, ...ended]
    .map((row): WorkerRun => ({ ...row, outcome: runOutcome(row) }))
    .toSorted((one, other) => (one.startedAt < other.startedAt ? -1 : 1))
  return { runs, since: cut?.startedAt ?? from.toISOString() }
}

type WorkerRunRow = Omit<WorkerRun, 'outcome'>

const RUN = (run: string) =>
  `${run}."id", ${boundedText(`${run}."name"`)} as "name", ${run}."startedAt"`

function underWayQuery({ workerId }: WorkerRunsOptions): Statement {
  return {
    text: `
      select ${RUN('run')}, (
               select ${boundedText('written."label"')} from "JobRun" written where written."id" = run."id"
             ) as "label", 'running' as "status", null as "errorCode", null as "endedAt"
      from ${RUNS_UNDER_WAY} where run."workerId" = $1 order by run."startedAt" limit ${MOST}`,
    values: [workerId],
  }
}

/** What `listWorkerRuns` sends for what has ended; apart, so that its plan can be looked at. */
export function workerRunsQuery({ workerId, from, to }: WorkerRunsOptions): Statement {
  return {
    text: `
      select ${RUN('run')}, ${boundedText('run."label"')} as "label", run."status", ${boundedText('run."errorCode"')} as "errorCode", run."endedAt"
      from (
        select * from "JobRun" where "startedAt" >= $2::timestamptz and "startedAt" < $3::timestamptz
        order by "startedAt" desc, "id" desc limit ${MOST_LOOKED_AT}
      ) run
      where run."workerId" = $1 and run."status" <> 'running'
      order by run."startedAt" desc, run."id" desc limit ${MOST}`,
    values: [workerId, from.toISOString(), to.toISOString()],
  }
}
