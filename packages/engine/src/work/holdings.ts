import type { Claimed, ClaimRequest } from '../queue/claimWork.ts'
import type { End } from '../queue/endRuns.ts'

/** What this worker holds by its own memory. The database may have gone back since, as after a fail-over: see rescue.ts. */
export interface Holdings {
  /** Makes claims. Until they are answered, or known to have taken nothing, any run of theirs may be about to start. */
  claiming(
    requests: readonly Pick<ClaimRequest, 'claimId'>[],
    claim: () => Promise<Claimed>,
  ): Promise<Claimed>
  /** The run's end is recorded, or somebody else has ended it. */
  settled(end: Pick<End, 'runId' | 'claim'>): void
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
        for (const {
          claim: { id: claimId },
          id,
        } of claimed.work) {
          const runs = claims.get(claimId) ?? new Set()
          claims.set(claimId, runs.add(id))
        }
        return claimed
      } finally {
        for (const { claimId } of requests) if (claims.get(claimId) === null) claims.delete(claimId)
      }
    },
    settled({ claim, runId }) {
      const runs = claims.get(claim.id)
      runs?.delete(runId)
      if (runs?.size === 0) claims.delete(claim.id)
    },
    has: (claimId) => claims.has(claimId),
    lacks(claimId, runId) {
      const runs = claims.get(claimId)
      return runs !== null && runs?.has(runId) !== true
    },
  }
}
