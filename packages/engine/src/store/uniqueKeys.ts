import type { Connection } from './database.ts'

/** A round frees no more at once, and looks at no more. */
const KEYS_PER_LOOK = 1_000

/** The last key that a look has seen. */
export interface KeyPosition {
  name: string
  key: string
}

/**
 * Frees unique keys whose work is nowhere: the end that would have freed one met the lock of a transaction that wanted to
 * replace its work, and was rolled back. It looks at a thousand keys after `after`, and leaves out those that are locked.
 * @returns How many it has freed, and where the next look goes on: null at the end
 */
export async function freeUniqueKeys(
  connection: Connection,
  after: KeyPosition | null,
): Promise<{ freed: number; next: KeyPosition | null }> {
  const { rows } = await connection.query<KeyPosition & { freed: number; seen: number }>(FREE_SQL, [
    after?.name ?? '',
    after?.key ?? '',
  ])
  const [last] = rows
  if (last === undefined) return { freed: 0, next: null }
  const { name, key, freed, seen } = last
  return { freed, next: seen < KEYS_PER_LOOK ? null : { name, key } }
}

/**
 * All tables are seen at the same moment, and whoever moves work or gives it a key does so in one transaction: so work that is
 * nowhere is nowhere for good. Only its key may have got other work since, which the lock sees: hence the work's id is compared again.
 */
const FREE_SQL = `
  with seen as materialized (
    select "name", "key", "workId" from "JobUnique" where ("name", "key") > ($1, $2)
    order by "name", "key" limit ${KEYS_PER_LOOK}
  ), running as materialized (
    select coalesce(held."workId", held."runId") as id
    from "JobClaim" claim cross join unnest(claim."runIds", claim."workIds", claim."uniqueKeys") as held("runId", "workId", "key")
    where claim."uniqueKeys" is not null and held."key" is not null
  ), gone as materialized (
    select * from seen
    where not exists (select from "JobWork" waiting where waiting."id" = seen."workId")
      and "workId" not in (select id from running)
  ), locked as materialized (
    select held."name", held."key", held."workId"
    from gone join "JobUnique" held on held."name" = gone."name" and held."key" = gone."key"
    where held."workId" = gone."workId"
    order by held."name", held."key" for update of held skip locked
  ), freed as (
    delete from "JobUnique" held using locked
    where held."name" = locked."name" and held."key" = locked."key" and held."workId" = locked."workId"
    returning 1
  )
  select last."name", last."key", (select count(*)::int from freed) as "freed", (select count(*)::int from seen) as "seen"
  from (select * from seen order by "name" desc, "key" desc limit 1) last`
