import type { KnownClaims } from '../queue/claimUnderLimits.ts'
import type { JobRules, RulesByJob } from '../queue/limitSql.ts'
import { createShares, type Shares } from './shares.ts'

/** Which of a worker's jobs are under which limits. It has no numbers of limits: claims read these under the lock. */
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

export interface LimitedJob extends Readonly<JobRules> {
  /** Null: its work has no keys. */
  readonly shares: Shares | null
  known: KnownClaims | null
}

export function createLimits(): Limits {
  let jobs = new Map<string, LimitedJob>()
  let byLimit = new Map<string, string[]>()
  const under = (limit: string) => byLimit.get(limit) ?? []
  return {
    of: (name) => jobs.get(name) ?? null,
    note(rules) {
      const before = jobs
      const next = ([name, { limits, order }]: [string, JobRules]): [string, LimitedJob] => {
        const known = before.get(name)
        known?.shares?.refresh()
        if (known?.limits.join() === limits.join() && known.order === order) return [name, known]
        return [name, { limits, order, shares: order && createShares(), known: null }]
      }
      jobs = new Map(Object.entries(rules).map(next))
      byLimit = new Map()
      for (const [name, { limits }] of jobs)
        for (const limit of limits) byLimit.set(limit, [...under(limit), name])
    },
    besides(name) {
      const all = new Set(jobs.get(name)?.limits.flatMap(under))
      all.delete(name)
      return [...all]
    },
    under,
  }
}
