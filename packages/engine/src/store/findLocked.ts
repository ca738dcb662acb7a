import type { Connection } from './database.ts'

const lockedSql = (table: string, ids: string) => `
    select locked."id"::text as "id" from ${table} locked
    where locked."id" = any(${ids}::uuid[]) and locked."id" not in (
      select "id" from ${table} where "id" = any(${ids}::uuid[]) for update skip locked
    )`

const LOCKED_SQL = `${lockedSql('"JobRun"', '$1')} union ${lockedSql('"JobClaim"', '$2')}`

/** Finds the ids of runs and claims whose rows somebody has locked at this moment. It waits for none. */
export async function findLocked(
  connection: Connection,
  { runIds, claimIds }: { runIds: readonly string[]; claimIds: readonly string[] },
): Promise<ReadonlySet<string>> {
  const { rows } = await connection.query<{ id: string }>(LOCKED_SQL, [runIds, claimIds])
  return new Set(rows.map(({ id }) => id))
}

/** Whose transactions hold the row with the name `$1` of a table. */
export function holdersSql(table: string): string {
  return `
  select holder."pid", holder."application_name" as "application", holder."xact_start" as "since"
  from pg_locks lock join pg_stat_activity holder on holder.pid = lock.pid
  where lock.locktype = 'transactionid' and lock.granted
    and lock.transactionid = (select held.xmax from ${table} held where held.name = $1)`
}
