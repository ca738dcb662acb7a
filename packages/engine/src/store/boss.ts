import { PgBoss, type Db } from 'pg-boss'
import type { Connection } from './database.ts'
import type { Schema } from './schema.ts'

/*
 * Only this folder knows pg-boss and its tables, and translates its words: its queue is our job, its job is our piece of
 * work, its retryCount + 1 is our attempt.
 */

/** Opens pg-boss on a connection of ours, with its cron turned off. */
export function openBoss(
  db: Db,
  schema: Schema,
  { migrate = false, supervise = false } = {},
): PgBoss {
  return new PgBoss({
    db,
    schema: schema.quoted,
    // Two products may have schemas whose names differ only in case; by default pg-boss refuses the second.
    allowSchemaCaseVariant: true,
    migrate,
    supervise,
    // How long an upgrade may have to wait for its turn to build indexes, see finishUpgrade. It takes no less.
    bamIntervalSeconds: 10,
    // pg-boss's cron starts an every-minute job up to 42 s late. Our scheduler decides ticks instead.
    schedule: false,
    registerInstance: false,
    // We do not use pg-boss's flows (work that waits for other work), for which it would look every 5 s.
    flowIntervalSeconds: 3_600,
    // Workers listen by themselves, and nobody notifies in a transaction: see channels.ts.
    useListenNotify: false,
    // pg-boss makes a span for each look into a queue, even an empty one, and none for a run. Observers trace ours.
    openTelemetry: { enabled: false },
  })
}

/**
 * Has pg-boss run its statements on our connection. By its own limit its maintenance would wait for half a minute, in which
 * the host's transaction meets a deadlock.
 */
export function asDb(connection: Connection): Db {
  return {
    executeSql: (text, values) => connection.query({ foreignText: text }, values),
  }
}
