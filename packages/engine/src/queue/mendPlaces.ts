import type { Connection } from '../database/database.ts'
import { hasSqlState, INSUFFICIENT_PRIVILEGE } from '../database/sqlState.ts'

/*
 * The sequence of places can be behind the tables: logical replication and some restores copy the rows and not the sequence, and a
 * crash with `synchronous_commit = off` may lose more of it. New places would then be lower than those that claims and floors
 * have counted up to, so that limits are exceeded and work is passed over.
 */

const GREATEST_SQL = `
  select greatest(
    (select max("place") from "JobWork"), (select max("place") from "JobClaim"), (select max("changedPlace") from "JobLimit")
  ) as "place"`

/** To read the sequence as a table, a role would need more than `usage`. */
const BEHIND_SQL = `
  select "place" from (${GREATEST_SQL}) greatest where "place" > coalesce(pg_sequence_last_value('roundsman."JobPlace"'::regclass), 0)`

/** A distance that places taken meanwhile do not reach. */
const AHEAD = 1_000_000

const MEND_SQL = `
  select setval('roundsman."JobPlace"', behind."place" + ${AHEAD}) from (${BEHIND_SQL}) behind`

/** Whether the sequence is behind the places in use. */
export async function arePlacesBehind(reader: {
  rows(statement: { text: string }): Promise<unknown[]>
}): Promise<boolean> {
  return (await reader.rows({ text: BEHIND_SQL })).length > 0
}

/**
 * Sets the sequence ahead of all places in use, if it is behind. The lock has several processes do so one after the other.
 * @throws an Error that names the remedy where the role may not
 */
export async function mendPlaces(tx: Connection): Promise<boolean> {
  if ((await tx.query(BEHIND_SQL)).rows.length === 0) return false
  try {
    await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))::text', [
      `roundsman places ${tx.schema.name}`,
    ])
    return (await tx.query(MEND_SQL)).rows.length > 0
  } catch (error) {
    if (!hasSqlState(error, INSUFFICIENT_PRIVILEGE)) throw error
    throw new Error(
      `The sequence "${tx.schema.name}"."JobPlace" is behind the places in use, so that limits would be exceeded, and this role may not set it; run npx roundsman migrate, or grant the role update on the sequence`,
      { cause: error },
    )
  }
}
