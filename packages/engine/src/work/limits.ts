import type { KnownClaims } from '../store/claimUnderLimits.ts'
import type { JobRules, RulesByJob } from '../store/limitSql.ts'
import { createShares, type Shares } from './shares.ts'

/** What a worker knows of the limits of its jobs. Their numbers it does not know: claims read them under the lock. */
export interface Limits {
  /** Null: the job has none, and its work no keys. */
  of(name: string): LimitedJob | null
  /** The rules as a round has read them. */
  note(rules: RulesByJob): void
  /** The other jobs under a limit of this one. */
  besides(name: string): readonly string[]
  /** The jobs under this limit. */
  under(limit: string): readonly string[]
}

export interface LimitedJob {
  readonly limits: readonly string[]
  /** Null: its work has no keys. */
  readonly shares: Shares | null
  known: KnownClaims | null
  /** Until when a run that succeeds may have been one that tries after a refusal, by performance.now(). */
  triesUntil: number
}

export function createLimits(): Limits {
  let jobs = new Map<string, LimitedJob>()
  let besides = new Map<string, string[]>()
  return {
    of: (name) => jobs.get(name) ?? null,
    note(rules) {
      const before = jobs
      const next = ([name, { limits, order }]: [string, JobRules]): [string, LimitedJob] => {
        const known = before.get(name)
        const hasKeys = order !== null
        const isSame = known?.limits.join() === limits.join() && hasKeys === (known.shares !== null)
        known?.shares?.refresh()
        if (isSame) return [name, known]
        return [
          name,
          { limits, shares: hasKeys ? createShares() : null, known: null, triesUntil: 0 },
        ]
      }
      jobs = new Map(Object.entries(rules).map(next))
      besides = findBesides(jobs)
    },
    besides: (name) => besides.get(name) ?? [],
    under: (limit) => [...jobs].flatMap(([name, job]) => (job.limits.includes(limit) ? name : [])),
  }
}

/** Of each job, the others that share a limit with it. */
function findBesides(jobs: ReadonlyMap<string, LimitedJob>): Map<string, string[]> {
  const all = [...jobs]
  return new Map(
    all.map(([name, { limits }]) => [
      name,
      all.flatMap(([other, { limits: theirs }]) =>
        other !== name && theirs.some((limit) => limits.includes(limit)) ? [other] : [],
      ),
    ]),
  )
}
