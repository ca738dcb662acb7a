import { isAliveSql } from '../../packages/engine/src/liveness/isAliveSql.ts'
import type { Connection } from '../../packages/engine/src/store/database.ts'

/** What is held when all was done, while the last workers still live. */
export interface ClaimsLeft {
  /** Which nobody lets go any more, unless a living worker does. */
  ofDead: number
  /** Those that live; they let go of what they hold at the latest when they end. */
  workers: string[]
}

export async function countClaims(database: Connection): Promise<ClaimsLeft> {
  const isAlive = isAliveSql('worker."id"', 'worker')
  const { rows } = await database.query<{ ofDead: number; workers: string[] }>(`
    with alive as (select worker."id" from "JobWorker" worker where ${isAlive})
    select (select count(*)::int from "JobClaim" where "workerId" not in (select "id" from alive)) as "ofDead",
           (select coalesce(array_agg("id"), '{}') from alive) as "workers"`)
  return rows[0] ?? { ofDead: 0, workers: [] }
}
