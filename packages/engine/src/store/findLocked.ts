import type { HeldClaim, NewRun } from './claimWork.ts'
import type { Connection } from './database.ts'

/** Queues whose rows are locked: nobody can write work into them, not even back. */
export const LOCKED_QUEUES = `
  select name from pgboss.queue
  where name not in (select name from pgboss.queue for key share skip locked)`

/** Whether nobody has locked the work of `run`, or it is gone. It locks the work. */
export const IS_WORK_FREE = `coalesce(
  (
    select true from pgboss.job work where work.name = run."name" and work.id = run."workId"
    for update skip locked
  ),
  not exists (select from pgboss.job work where work.name = run."name" and work.id = run."workId")
)`

/** Whose transactions hold the row with the name `$1` of a table. */
export function holdersSql(table: string): string {
  return `
  select holder."pid", holder."application_name" as "application", holder."xact_start" as "since"
  from pg_locks lock join pg_stat_activity holder on holder.pid = lock.pid
  where lock.locktype = 'transactionid' and lock.granted
    and lock.transactionid = (select held.xmax from ${table} held where held.name = $1)`
}

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
    run?: Pick<NewRun, 'id' | 'name' | 'workId'>
    held: Pick<HeldClaim, 'id'>
  }[],
): Promise<ReadonlySet<string>> {
  const runs = ends.flatMap(({ run = [] }) => run)
  const { rows } = await connection.query<{ id: string }>(LOCKED_SQL, [
    runs.map(({ id }) => id),
    [...new Set(runs.map(({ name }) => name))],
    runs.flatMap(({ workId }) => workId ?? []),
    [...new Set(ends.map(({ held }) => held.id))],
  ])
  return new Set(rows.map(({ id }) => id))
}

const LOCKED_STARTS_SQL = `
  select start."id"::text as "id" from "JobStart" start
  where start."id" = any($1::uuid[]) and (
    start."name" in (${LOCKED_QUEUES})
    or start."id" not in (select "id" from "JobStart" where "id" = any($1::uuid[]) for update skip locked)
  )`

/** Finds those of these starts whose runs cannot be written out now: somebody has locked the start or its queue. */
export async function findLockedStarts(
  connection: Connection,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const { rows } = await connection.query<{ id: string }>(LOCKED_STARTS_SQL, [ids])
  return new Set(rows.map(({ id }) => id))
}
