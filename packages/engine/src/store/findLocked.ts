import type { HeldClaim, NewRun } from './claimWork.ts'
import type { Connection } from './database.ts'

const lockedSql = (table: string, where: string) => `
    select locked.id::text as "id" from ${table} locked
    where ${where} and locked.id not in (
      select id from ${table} locked where ${where} for update skip locked
    )`

const LOCKED_SQL = [
  lockedSql('"JobRun"', 'locked.id = any($1::uuid[])'),
  lockedSql('pgboss.job', 'locked.name = any($2::text[]) and locked.id = any($3::uuid[])'),
  lockedSql('"JobClaim"', 'locked.id = any($4::uuid[])'),
  lockedSql('"JobStart"', 'locked.id = any($4::uuid[])'),
].join(' union ')

/** Finds the ids of runs, of their work, claims and starts whose rows somebody has locked at this moment. It waits for none. */
export async function findLocked(
  connection: Connection,
  ends: readonly {
    run?: Pick<NewRun, 'id' | 'name' | 'queueJobId'>
    held: Pick<HeldClaim, 'id'>
  }[],
): Promise<ReadonlySet<string>> {
  const runs = ends.flatMap(({ run = [] }) => run)
  const { rows } = await connection.query<{ id: string }>(LOCKED_SQL, [
    runs.map(({ id }) => id),
    [...new Set(runs.map(({ name }) => name))],
    runs.flatMap(({ queueJobId }) => queueJobId ?? []),
    [...new Set(ends.map(({ held }) => held.id))],
  ])
  return new Set(rows.map(({ id }) => id))
}
