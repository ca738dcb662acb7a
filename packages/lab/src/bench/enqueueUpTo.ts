import type pg from 'pg'

/** Enqueues what is missing, with the columns that a client writes, 20,000 pieces with each statement. */
export async function enqueueUpTo(
  client: pg.Client,
  name: string,
  waiting: number,
): Promise<{ count: number; tookMs: number }> {
  const { rows } = await client.query<{ count: number }>(
    `select count(*)::int as count from "JobWork" where "name" = $1`,
    [name],
  )
  const missing = waiting - (rows[0]?.count ?? 0)
  const startedAtMs = performance.now()
  for (let left = missing; left > 0; left -= 20_000) {
    await client.query(
      `insert into "JobWork" ("id", "name", "bytes", "payload")
       select uuidv7(), $1, 2, '{}' from generate_series(1, ${Math.min(left, 20_000)})`,
      [name],
    )
  }
  return { count: missing, tookMs: performance.now() - startedAtMs }
}
