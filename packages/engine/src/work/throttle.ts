import type { RateLimit } from '../job/defineJob.ts'
import { pace } from '../job/limits.ts'
import type { Connection } from '../store/database.ts'

export interface Allowance {
  /** How many runs may start now. */
  starts: number
  /** How long until at least one may start. */
  freeInMs: number
}

/**
 * Reads how many runs may start, by the generic cell rate algorithm and the database's clock: each start moves `freeAt` on
 * by its share of the time. It locks the job's row until the caller's transaction ends, so that all workers share one
 * limit. A `freeAt` further ahead than the burst, after the limit was relaxed or the clock set back, is pulled in.
 */
export async function readAllowance(
  tx: Connection,
  name: string,
  { limit, perMs }: RateLimit,
): Promise<Allowance> {
  const { intervalMs, burst } = pace({ limit, perMs })
  const { rows } = await tx.query<{ aheadMs: number }>(
    `insert into "JobThrottle" ("name", "freeAt") values ($1, clock_timestamp())
     on conflict ("name") do update
       set "freeAt" = least("JobThrottle"."freeAt", clock_timestamp() + $2 * interval '1 millisecond')
     returning (extract(epoch from "freeAt" - clock_timestamp()) * 1000)::float8 as "aheadMs"`,
    [name, burst * intervalMs],
  )
  const aheadMs = Math.max(0, rows[0]?.aheadMs ?? 0)
  return {
    starts: Math.max(0, Math.floor(burst - aheadMs / intervalMs)),
    freeInMs: Math.max(0, aheadMs - (burst - 1) * intervalMs),
  }
}

/** Charges the limit for starts, in the transaction that made them. */
export async function chargeAllowance(
  tx: Connection,
  name: string,
  { limit, perMs }: RateLimit,
  starts: number,
): Promise<void> {
  await tx.query(
    `update "JobThrottle"
     set "freeAt" = greatest("freeAt", clock_timestamp()) + $2 * interval '1 millisecond'
     where "name" = $1`,
    [name, (starts * perMs) / limit],
  )
}
