import { listWorkers, type Statement } from '@roundsman/engine/client'
import type { Queryable } from '../openPool.ts'

/** What is held when all was done, while the last workers still live. */
export interface ClaimsLeft {
  /** Which nobody lets go any more, unless a living worker does. */
  ofDead: number
  /** Those that live; they let go of what they hold at the latest when they end. */
  workers: string[]
}

export async function countClaims(database: Queryable): Promise<ClaimsLeft> {
  const listed = await listWorkers({
    rows: async <Row extends object>({ text }: Statement) => (await database.query<Row>(text)).rows,
  })
  const workers = listed.filter(({ isAlive }) => isAlive).map(({ id }) => id)
  const { rows } = await database.query<{ ofDead: number }>(
    `select count(*)::int as "ofDead" from (
       select "workerId" from "JobClaim" union all select "workerId" from "JobStart"
     ) held where "workerId" <> all($1)`,
    [workers],
  )
  return { ofDead: rows[0]?.ofDead ?? 0, workers }
}
