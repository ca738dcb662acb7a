import { listWorkers } from '@roundsman/engine/client'
import type { Statement } from '@roundsman/engine/internal'
import type { Queryable } from '../openPool.ts'

/** What is held when all work is done, while the last workers still live. */
export interface ClaimsLeft {
  /** Claims of dead workers: nobody releases them, except a living worker's rescue. */
  ofDead: number
  /** The living workers. They release what they hold when they end, at the latest. */
  workers: string[]
}

export async function countClaims(database: Queryable): Promise<ClaimsLeft> {
  const listed = await listWorkers({
    rows: async <Row extends object>({ text }: Statement) => (await database.query<Row>(text)).rows,
  })
  const workers = listed.filter(({ isAlive }) => isAlive).map(({ id }) => id)
  const { rows } = await database.query<{ ofDead: number }>(
    `select count(*)::int as "ofDead" from "JobClaim" where "workerId" <> all($1)`,
    [workers],
  )
  return { ofDead: rows[0]?.ofDead ?? 0, workers }
}
