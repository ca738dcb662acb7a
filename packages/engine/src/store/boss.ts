import { PgBoss, type Db } from 'pg-boss'
import type { Connection } from './database.ts'
import type { Schema } from './schema.ts'

/*
 * This folder is the only one that knows pg-boss and its tables, and the only one where its words are translated: its
 * queue is our job, its job is one piece of work, its retryCount + 1 is our attempt.
 */

/** pg-boss on a connection of ours, without a schedule of its own. */
export function openBoss(
  db: Db,
  schema: Schema,
  { migrate = false, supervise = false } = {},
): PgBoss {
  return new PgBoss({
    db,
    schema: schema.queue,
    // Whose name differs from another's in nothing but case is another's.
    allowSchemaCaseVariant: true,
    migrate,
    supervise,
    // How long an upgrade may have to wait for its turn to build indexes, see finishUpgrade. It takes no less.
    bamIntervalSeconds: 10,
    // Its cron starts an every-minute job up to 42 s late; the scheduler's ledger decides here.
    schedule: false,
    registerInstance: false,
    // Work that waits for other work is a thing of its own that is not used here: it would be looked for every 5 s.
    flowIntervalSeconds: 3_600,
    // Workers listen by themselves, and nobody notifies in a transaction: see channels.ts.
    useListenNotify: false,
    // Its spans are one for each look into a queue, also an empty one, and end in no run. Ours are in worker/.
    openTelemetry: { enabled: false },
  })
}

export function asDb(connection: Connection): Db {
  return { executeSql: (foreignText, values) => connection.query({ foreignText }, values) }
}
