import type { Job } from '../job/defineJob.ts'
import { FAILURE_RATE } from '../judge/findFailing.ts'
import { judgeJobs } from '../judge/judgeJobs.ts'
import type { Problem } from '../judge/problem.ts'
import type { JobsReader } from '../read/reader.ts'
import { subjectKey, type AlertCause, type AlertFacts, type AlertRow } from './alert.ts'

/** Thresholds of alerts. If the minimum count or duration of an alert is Infinity, the alert is off. */
export interface AlertLimits {
  /**
   * The share of a job's runs of the last hour that begins an alert if it fails, with 30 or more failures. With 5 or more it is
   * a quarter. From 0 to 1. The alert ends below half of the share. Default 0.1.
   */
  failureRate: number
  /** Minimum duration if a single run has failed: the next attempt may succeed. Default 300,000 ms. */
  failureOfOneMs: number
  /** Minimum of waiting work for a queue to be behind. Default 1. */
  queueMinWaiting: number
  /** Minimum duration of a queue that is behind, or of a session's wait for a lock. Default 600,000 ms. */
  queueGrowthMs: number
  /**
   * Minimum duration if no worker lives, takes or schedules a job, if one is silent, or if the database is away. Default 60,000
   * ms.
   */
  noWorkerMs: number
}

export const DEFAULT_LIMITS: AlertLimits = {
  failureRate: FAILURE_RATE,
  failureOfOneMs: 300_000,
  queueMinWaiting: 1,
  queueGrowthMs: 600_000,
  noWorkerMs: 60_000,
}

export interface Causes {
  causes: readonly AlertCause[]
  /** Jobs in the queue that are missing in this catalogue, but that a worker of another version may have. */
  others: readonly string[]
}

/**
 * Finds the causes of alerts. `open`: the open alerts. An alert that began at a limit ends only well below it; otherwise it
 * would begin and end all day.
 */
export async function findCauses(
  reader: JobsReader,
  jobs: readonly Job[],
  limits: AlertLimits,
  open: readonly AlertRow[],
  now: Date,
): Promise<Causes> {
  const told = new Set(open.map(subjectKey))
  const { problems, others } = await judgeJobs(reader, jobs, now, {
    failureRate: limits.failureRate,
    wasTold: (kind, name) => told.has(subjectKey({ kind, name, code: '' })),
  })
  const causes = new Map<string, AlertCause>()
  for (const problem of problems)
    for (const cause of toCauses(problem, { limits, told, others, now })) {
      const key = subjectKey(cause)
      if (!causes.has(key)) causes.set(key, cause)
    }
  return { causes: [...causes.values()], others }
}

const DAY_MS = 86_400_000

/** A problem of several jobs is one alert: of those already notified, or of the most affected. */
function toCauses(
  problem: Problem,
  {
    limits,
    told,
    others,
    now,
  }: { limits: AlertLimits; told: ReadonlySet<string>; others: readonly string[]; now: Date },
): AlertCause[] {
  const { kind, jobs, stage, lastAt } = problem
  // Problems that are over began earlier. Dead letters stay until a person acts on them.
  const isOver = stage === 'over'
  if (isOver && (lastAt === undefined || now.getTime() - Date.parse(lastAt) > DAY_MS)) return []
  if (kind === 'backlog' && problem.count < limits.queueMinWaiting) return []
  const names = jobs.length === 0 ? [''] : jobs.filter((name) => !others.includes(name))
  const code = kind === 'limitExceeded' ? (problem.limit ?? '') : ''
  const wasTold = names.filter((name) => told.has(subjectKey({ kind, name, code })))
  const afterMs = isOver ? null : waitOf(problem, limits)
  const facts = factsOf(problem)
  return (wasTold.length > 0 ? wasTold : names.slice(0, 1)).map((name) => ({
    ...{ kind, name, code, facts, afterMs },
  }))
}

/** The minimum duration before the alert is raised. */
function waitOf({ kind, count }: Problem, limits: AlertLimits): number {
  switch (kind) {
    case 'noWorker':
    case 'silent':
      // During restarts there may be no worker for a moment.
      return limits.noWorkerMs
    case 'failing':
      return count > 1 ? 0 : limits.failureOfOneMs
    case 'backlog':
    case 'lockWait':
      return limits.queueGrowthMs
    default:
      return 0
  }
}

/** Without the note, which may quote texts of people. */
function factsOf({ kind: _kind, note: _note, jobs, ...problem }: Problem): AlertFacts {
  const told = Object.entries(problem).filter(
    ([, fact]) => typeof fact === 'string' || typeof fact === 'number',
  )
  return { ...(Object.fromEntries(told) as AlertFacts), jobs: jobs.join(', ') }
}
