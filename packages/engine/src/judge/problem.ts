/**
 * What can be wrong with the jobs. The runbook has the threshold of each kind, and what to do.
 *   database          The database refuses writes, or nearly all its connections are used.
 *   noWorker          No worker lives; or none takes or schedules a job that waits for one.
 *   silent            A worker lives and gives no sign of life, or does not end a run after its time-out.
 *   late              A tick is due, and no worker has decided it.
 *   limitExceeded     More runs are under way than a limit allows, which is a defect of the engine.
 *   endedWorkers      Workers have ended while they had runs, several of them with the same piece of work.
 *   failing           Too many runs of a job fail, or too much of its work expires before it starts.
 *   deadLetters       Work was given up.
 *   inDoubt           Work waits for somebody to say whether an effect has happened that must not happen twice.
 *   blocked           A run waits for somebody to approve what its guard has blocked.
 *   paused            Work waits for a queue, a key or a limit that somebody has paused, or that waits for a service.
 *   keyBlocked        Work of a key waits behind a dead letter: `fifo`.
 *   lockWait          Sessions of the database wait for a lock of another.
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

/** What it means at this moment, the worst first: nothing can run, work is lost, work waits and does not start, or it is over. */
export const PROBLEM_STAGES = ['stopped', 'losing', 'waiting', 'over'] as const
export type ProblemStage = (typeof PROBLEM_STAGES)[number]

/** Something that is wrong, with one cause. */
export interface Problem {
  kind: ProblemKind
  stage: ProblemStage
  /** The jobs that it is about, the most affected first. Empty: all jobs, or none in particular. */
  jobs: readonly string[]
  /** What is wrong, as of now. It has no payload, no error message, and nothing that people wrote. */
  text: string
  /** What to know, or to do. Null: nothing. */
  note: string | null
  /** ISO 8601 in UTC; null where nobody knows. */
  since: string | null
  /** When it last happened, of what does not go on all the time. */
  lastAt?: string
  /** What to look at. Absent where it is about none. */
  runId?: string
  workId?: string
  workerId?: string
  key?: string
  limit?: string
  /** The error code that most failures have. */
  code?: string
  /** How many runs, pieces of work, workers or sessions it is about. `isCut`: there are more. */
  count: number
  isCut: boolean
  /** Jobs are not done for it: `GET /health/jobs` fails. */
  isUnhealthy?: true
}

/** A problem with what decides its place in the list. */
export interface Found extends Problem {
  /** How many jobs it affects: below 1 for keys and single pieces, Infinity for all jobs. */
  reach: number
  /** Which part of what these jobs did in the last 15 minutes it affects, from 0 to 1. */
  share: number
  /** The error codes by which it shows, with how many dead letters of a job these account for. */
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

/** Infinity minus Infinity is no number. */
const compare = (one: number, other: number) => (one === other ? 0 : one < other ? -1 : 1)
