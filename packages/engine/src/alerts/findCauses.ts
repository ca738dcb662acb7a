import type { Job } from '../job/defineJob.ts'
import { FAILURE_RATE } from '../judge/findFailing.ts'
import { judgeJobs } from '../judge/judgeJobs.ts'
import type { Problem } from '../judge/problem.ts'
import type { JobsReader } from '../read/reader.ts'
import { subjectKey, type AlertCause, type AlertFacts, type AlertRow } from './alert.ts'

/** When people are told. An alert whose least count or shortest time is Infinity is off. */
export interface AlertLimits {
  /**
   * Which share of a job's runs of the last hour is too much to fail, where 30 or more do; of 5 or more it is a quarter. From 0
   * to 1. The alert ends below half of the share. Default 0.1.
   */
  failureRate: number
  /** How long it has to last where one run alone has failed: the next attempt may succeed. Default 300,000 ms. */
  failureOfOneMs: number
  /** With less waiting work a queue is not behind. Default 1. */
  queueMinWaiting: number
  /** How long a queue has to be behind, or a session has to wait for a lock. Default 600,000 ms. */
  queueGrowthMs: number
  /** How long no worker lives, or takes or schedules a job, or one is silent, or the database is away. Default 60,000 ms. */
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
  /** Jobs of the queue that this catalogue does not have and a worker of another version may: what they need, that tells. */
  others: readonly string[]
}

/**
 * Finds what people should be told. `open`: the alerts that go on. One that began at a limit ends only well below it;
 * otherwise it would begin and end all day.
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

/** A problem of several jobs is one alert: of those that were told of it before, or of the most affected. */
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
  // What is over began before; dead letters stay until somebody does something, or forgets them.
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

/** How long it has to last. */
function waitOf({ kind, count }: Problem, limits: AlertLimits): number {
  switch (kind) {
    case 'noWorker':
    case 'silent':
      // While workers restart there may be none for a moment.
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

/** Without the note, which may quote what people wrote. */
function factsOf({ kind: _kind, note: _note, jobs, ...problem }: Problem): AlertFacts {
  const told = Object.entries(problem).filter(
    ([, fact]) => typeof fact === 'string' || typeof fact === 'number',
  )
  return { ...(Object.fromEntries(told) as AlertFacts), jobs: jobs.join(', ') }
}
