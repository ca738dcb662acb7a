import type { Connection } from './database.ts'

/** Of these rows, those that somebody has locked against the lock `lock`. */
const lockedSql = (table: string, ids: string, lock: string) => `array(
    select locked."id"::text from "${table}" locked
    where locked."id" = any(${ids}::uuid[]) and locked."id" not in (
      select "id" from "${table}" where "id" = any(${ids}::uuid[]) for ${lock} skip locked
    )
  )`

const LOCKED_SQL = `
  select ${lockedSql('JobRun', '$1', 'update')} || ${lockedSql('JobClaim', '$2', 'key share')} as "unending",
         ${lockedSql('JobClaim', '$2', 'update')} as "staying"`

/** What somebody has locked at this moment: of which runs no end can be recorded, and which claims cannot be deleted. */
export interface Locked {
  /** Runs, and claims whose runs they are. */
  unending: ReadonlySet<string>
  /** Claims. */
  staying: ReadonlySet<string>
}

/** Finds which of these runs and claims somebody has locked. It waits for none. */
export async function findLocked(
  connection: Connection,
  { runIds, claimIds }: { runIds: readonly string[]; claimIds: readonly string[] },
): Promise<Locked> {
  const { rows } = await connection.query<{ unending: string[]; staying: string[] }>(LOCKED_SQL, [
    runIds,
    claimIds,
  ])
  return { unending: new Set(rows[0]?.unending), staying: new Set(rows[0]?.staying) }
}
