import type { Db } from 'pg-boss'
import type { Database } from './database.ts'

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
          return await patient.query(text, values)
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
