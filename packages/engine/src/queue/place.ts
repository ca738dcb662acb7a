/*
 * The order in which work is taken. Each piece has a place, from a sequence of the database: an id or a clock would be its
 * producer's. Work that is not due yet has none; once it is due, a round of any worker gives it one.
 *
 * Every statement that writes a place uses `PLACE_SQL`, and none changes one: work that is retried, prioritised or made due
 * gets a new one, so that no worker's floor (work/floors.ts) is above it.
 */

/** The expression for a new place. `case` keeps to the order: PostgreSQL assigns the transaction's id first. */
export const PLACE_SQL = `case when pg_current_xact_id() is not null then nextval('roundsman."JobPlace"') end`

export const [LEAST_RANK, GREATEST_RANK] = [-(2 ** 31), 2 ** 31 - 1]

/** The rank of a priority. Greater ranks start later, so that an index lists work in the order of claims. */
export const rankOf = (priority: number): number => Math.min(-priority, GREATEST_RANK)
