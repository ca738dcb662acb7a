/**
 * The kinds of problems. The runbook has the threshold of each kind, and the remedy.
 *   database          The database refuses writes, or nearly all its connections are used.
 *   noWorker          No worker lives; or none takes or schedules a job that waits for one.
 *   silent            A worker lives and gives no sign of life, or does not end a run after its time-out.
 *   late              A tick is due, and no worker has decided it.
 *   limitExceeded     More runs are under way than a limit allows, which is a defect of the engine.
 *   endedWorkers      Workers have ended while they had runs, several of them with the same piece of work.
 *   failing           Too many runs of a job fail, or too much of its work expires before it starts.
 *   deadLetters       Work was given up.
 *   inDoubt           Work waits for a person to answer whether an effect has happened that must not happen twice.
 *   blocked           A run waits for a person to approve what its guard has blocked.
 *   paused            Work waits for a paused queue, key or limit, or for a service.
 *   keyBlocked        Work of a key waits behind a dead letter: `fifo`.
 *   lockWait          Sessions of the database wait for a lock of another session.
 *   backlog           Work could start, and workers need an hour or more for it.
 *   schedulesRefused  Keyed schedules are paused, since their job's schema refuses their payloads.
 */
export const PROBLEM_KINDS = [
  'database',
  'noWorker',
  'silent',
  'late',
  'limitExceeded',
  'endedWorkers',
  'failing',
  'deadLetters',
  'inDoubt',
  'blocked',
  'paused',
  'keyBlocked',
  'lockWait',
  'backlog',
  'schedulesRefused',
] as const
export type ProblemKind = (typeof PROBLEM_KINDS)[number]

/** The effect at this moment, the worst first: nothing can run, work is lost, work waits and does not start, or it is over. */
export const PROBLEM_STAGES = ['stopped', 'losing', 'waiting', 'over'] as const
export type ProblemStage = (typeof PROBLEM_STAGES)[number]

/** A problem with one cause. */
export interface Problem {
  kind: ProblemKind
  stage: ProblemStage
  /** The affected jobs, the most affected first. Empty if it affects all jobs, or no job in particular. */
  jobs: readonly string[]
  /** A sentence about the problem at this moment. It contains no payload, no error message, and no texts of people. */
  text: string
  /** Further facts, or the remedy. Null if there are none. */
  note: string | null
  /** ISO 8601 in UTC. Null if unknown. */
  since: string | null
  /** The last occurrence, of a problem that is not continuous. */
  lastAt?: string
  /** The run, worker or key to look at. Absent if there is none. */
  runId?: string
  workId?: string
  workerId?: string
  key?: string
  limit?: string
  /** The most frequent error code. */
  code?: string
  /** The number of affected runs, pieces of work, workers or sessions. `isCut`: there are more. */
  count: number
  isCut: boolean
  /** Jobs do not run because of it: `GET /health/jobs` fails. */
  isUnhealthy?: true
}

/** A problem with the facts that decide its position in the list. */
export interface Found extends Problem {
  /** The number of affected jobs: below 1 for keys and single pieces, Infinity for all jobs. */
  reach: number
  /** The affected share of these jobs' work of the last 15 minutes, from 0 to 1. */
  share: number
  /** The error codes that it causes, with the number of dead letters of a job that they explain. */
  causes?: readonly { name: string; code: string; letters: number }[]
}

/** Sorts the worst first: by stage, reach, share of the last 15 minutes, and age. */
export function inOrder(found: readonly Found[]): Problem[] {
  return found
    .toSorted(
      (one, other) =>
        PROBLEM_STAGES.indexOf(one.stage) - PROBLEM_STAGES.indexOf(other.stage) ||
        compare(other.reach, one.reach) ||
        compare(other.share, one.share) ||
        (one.since ?? '9').localeCompare(other.since ?? '9'),
    )
    .map(({ reach: _reach, share: _share, causes: _causes, ...problem }) => problem)
}

/** Infinity minus Infinity is NaN. */
const compare = (one: number, other: number) => (one === other ? 0 : one < other ? -1 : 1)
