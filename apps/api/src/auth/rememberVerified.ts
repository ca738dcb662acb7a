import { hash } from 'node:crypto'

/** Far more than people who ask at the same time. */
const MAX_KEPT = 1_000

interface Verified<Claims> {
  claims: Claims
  verifiedAtMs: number
}

/**
 * The same verification, done once for each token: whoever holds one sends it with every request. Kept are only tokens
 * that were found valid, as a hash, and none is taken for valid before the instant at which it was verified, nor from
 * its end on: that is for `verify` to say again.
 */
export function rememberVerified<Claims extends { exp: number }>(
  verify: (token: string, nowMs: number) => Claims,
  maxKept = MAX_KEPT,
): (token: string, nowMs: number) => Claims {
  const kept = new Map<string, Verified<Claims>>()

  return (token, nowMs) => {
    const key = hash('sha256', token, 'base64')
    const known = kept.get(key)
    if (known && nowMs >= known.verifiedAtMs && nowMs < known.claims.exp * 1_000) {
      return known.claims
    }
    kept.delete(key)
    const claims = verify(token, nowMs)
    const [oldest] = kept.keys()
    if (kept.size >= maxKept && oldest !== undefined) kept.delete(oldest)
    kept.set(key, { claims, verifiedAtMs: nowMs })
    return claims
  }
}
