import type { Claimed, ClaimRequest } from '../queue/claimWork.ts'
import type { HeldClaim } from '../queue/taken.ts'

/** The claims that this worker holds, by its own memory. The database may have gone back, as after a fail-over: see rescue.ts. */
export interface Holdings {
  /** Makes claims. Until they are answered, or known to have taken nothing, any run of theirs may be about to start. */
  claiming(
    requests: readonly Pick<ClaimRequest, 'claimId'>[],
    claim: () => Promise<Claimed>,
  ): Promise<Claimed>
  /** The ends of all runs of the claim are recorded, or other workers have ended them. */
  settled(claim: HeldClaim): void
  /** Whether the claim is being made, or has runs that are not settled. */
  has(claimId: string): boolean
  /** Whether the claim was made, and holds no such run, or not any more. */
  lacks(claimId: string, runId: string): boolean
}

export function createHoldings(): Holdings {
  /** By its id. Null while it is being made. */
  const claims = new Map<string, HeldClaim | null>()
  return {
    async claiming(requests, claim) {
      for (const { claimId } of requests) claims.set(claimId, null)
      try {
        const claimed = await claim()
        for (const held of new Set(claimed.work.map((taken) => taken.claim)))
          claims.set(held.id, held)
        return claimed
      } finally {
        for (const { claimId } of requests) if (claims.get(claimId) === null) claims.delete(claimId)
      }
    },
    settled: ({ id }) => void claims.delete(id),
    has: (claimId) => claims.has(claimId),
    lacks(claimId, runId) {
      const claim = claims.get(claimId)
      return claim !== null && claim?.open.has(runId) !== true
    },
  }
}
