import type { Claimed, ClaimRequest, TakenWork } from '../store/claimWork.ts'

/** What this worker holds by its own memory. The database may have gone back since, as after a fail-over: see rescue.ts. */
export interface Holdings {
  /** Makes claims. Until they are answered, or known to have taken nothing, any run of theirs may be about to start. */
  claiming(
    requests: readonly Pick<ClaimRequest, 'claimId'>[],
    claim: () => Promise<Claimed>,
  ): Promise<Claimed>
  /** The run's end is recorded, or somebody else has ended it. */
  settled(taken: Pick<TakenWork, 'run' | 'held'>): void
  /** Whether the claim is being made, or has runs that are not settled. */
  has(claimId: string): boolean
  /** Whether the claim was made, and holds no such run, or not any more. */
  lacks(claimId: string, runId: string): boolean
}

export function createHoldings(): Holdings {
  /** By claim, its runs; null while it is being made. */
  const claims = new Map<string, Set<string> | null>()
  return {
    async claiming(requests, claim) {
      for (const { claimId } of requests) claims.set(claimId, null)
      try {
        const claimed = await claim()
        for (const { held, run } of claimed.work) {
          const runs = claims.get(held.id) ?? new Set()
          claims.set(held.id, runs.add(run.id))
        }
        return claimed
      } finally {
        for (const { claimId } of requests) if (claims.get(claimId) === null) claims.delete(claimId)
      }
    },
    settled({ held, run }) {
      const runs = claims.get(held.id)
      runs?.delete(run.id)
      if (runs?.size === 0) claims.delete(held.id)
    },
    has: (claimId) => claims.has(claimId),
    lacks(claimId, runId) {
      const runs = claims.get(claimId)
      return runs !== null && runs?.has(runId) !== true
    },
  }
}
