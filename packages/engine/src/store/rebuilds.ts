import type { Db } from 'pg-boss'
import type { Connection, Database } from './database.ts'

/** These statements leave an invalid index behind when a time-out cancels them. */
const REBUILDS = /^\s*(?:reindex|drop index concurrently|create (?:unique )?index concurrently)\b/i

export interface Rebuilds {
  /** Returns the same database access, which sends rebuilds of indexes over a connection of their own. */
  around(db: Db): Db
  /** Does not wait for rebuilds under way. PostgreSQL goes on with them. */
  stop(): Promise<void>
}

/**
 * Gives pg-boss's rebuilds of bloated indexes a connection of their own without a time-out: a rebuild waits for every open
 * transaction, and may take longer than any statement of ours.
 */
export function createRebuilds(openPatient: () => Database): Rebuilds {
  const underWay = new Set<Database>()
  return {
    around: (db) => ({
      ...db,
      async executeSql(text, values) {
        if (!REBUILDS.test(text)) return await db.executeSql(text, values)
        const patient = openPatient()
        underWay.add(patient)
        try {
          return await patient.query({ foreignText: text }, values)
        } finally {
          underWay.delete(patient)
          await patient.close()
        }
      },
    }),
    async stop() {
      await Promise.all([...underWay].map((patient) => patient.close({ timeoutMs: 0 })))
    },
  }
}

/**
 * Finds old indexes that a rebuild left behind, interrupted after it had put the new one in place. pg-boss itself removes
 * what an earlier interruption leaves (`_ccnew`). A rebuild under way holds a lock on them.
 */
const LEFT_BEHIND_SQL = `
  select format('%I.%I', schema.nspname, class.relname) as "name"
  from pg_index index
    join pg_class class on class.oid = index.indexrelid
    join pg_namespace schema on schema.oid = class.relnamespace
  where schema.oid = (select relnamespace from pg_class where oid = 'pgboss.job'::regclass) and class.relname ~ '_ccold[0-9]*$' and not index.indisvalid
    and pg_has_role(current_user, class.relowner, 'USAGE')
    and not exists (
      select from pg_locks held
      where held.relation = class.oid and held.locktype = 'relation' and held.mode in ('ShareUpdateExclusiveLock', 'AccessExclusiveLock')
        and held.database = (select oid from pg_database where datname = current_database())
    )`

/** Drops indexes of pg-boss's tables that nothing reads any more but every change still writes. */
export async function dropLeftBehind(database: Connection): Promise<void> {
  const { rows } = await database.query<{ name: string }>(LEFT_BEHIND_SQL)
  for (const { name } of rows) await database.query(`drop index concurrently if exists ${name}`)
}
