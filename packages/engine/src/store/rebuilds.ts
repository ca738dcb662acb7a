import type { Db } from 'pg-boss'
import type { Connection, Database } from './database.ts'

/** Cancelled on the way, as by a time-out, these leave an invalid index behind. */
const REBUILDS = /^\s*(?:reindex|drop index concurrently|create (?:unique )?index concurrently)\b/i

export interface Rebuilds {
  /** The same, but for what rebuilds an index. */
  around(db: Db): Db
  /** Waits for none that is under way. PostgreSQL goes on with it. */
  stop(): Promise<void>
}

/**
 * Gives pg-boss's rebuilding of bloated indexes a connection of its own without a time-out: it waits for every
 * transaction that is open, and may take longer than any statement of ours.
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
 * What a rebuild leaves behind that was interrupted after it had put the new index in the old one's place. pg-boss
 * removes what comes before that (`_ccnew`). A rebuild that is under way holds a lock on it.
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

/** Drops indexes of pg-boss's that nothing reads any more, and that every change of its tables still writes. */
export async function dropLeftBehind(database: Connection): Promise<void> {
  const { rows } = await database.query<{ name: string }>(LEFT_BEHIND_SQL)
  for (const { name } of rows) await database.query(`drop index concurrently if exists ${name}`)
}
