import type { Connection } from './database.ts'

/**
 * Whether newer work has taken the unique key of `work`, whose id is `id`. That may have ended since: then the key is free, or
 * others have it. Whatever waits or runs and was not replaced has its key.
 */
export const isReplacedSql = (work: string, id: string) => `(
           ${work}."uniqueKey" is not null and not exists (
             select from "JobUnique" one
             where one."name" = ${work}."name" and one."key" = ${work}."uniqueKey" and one."workId" = ${work}."${id}"
           )
         )`

/** A look sees no more. */
const KEYS_PER_LOOK = 1_000

/** The last key that a look has seen. */
export interface KeyPosition {
  name: string
  key: string
}

/**
 * Frees, in a transaction, unique keys whose work is nowhere: the end that would have freed one met the lock of somebody who
 * then rolled back. It looks at a thousand keys after `after`, and passes over those that are locked.
 * @returns How many it has freed, and where the next look goes on: null at the end
 */
export async function freeUniqueKeys(
  tx: Connection,
  after: KeyPosition | null,
): Promise<{ freed: number; next: KeyPosition | null }> {
  const { rows } = await tx.query<KeyPosition & { isLocked: boolean; isLast: boolean }>(LOCK_SQL, [
    after?.name ?? '',
    after?.key ?? '',
  ])
  const last = rows.find(({ isLast }) => isLast)
  const locked = rows.filter(({ isLocked }) => isLocked)
  const next = last === undefined ? null : { name: last.name, key: last.key }
  if (locked.length === 0) return { freed: 0, next }
  const { rowCount } = await tx.query(FREE_SQL, [
    locked.map(({ name }) => name),
    locked.map(({ key }) => key),
  ])
  return { freed: rowCount ?? 0, next }
}

/** Whoever moves work leaves it nowhere at no moment that a statement sees. */
const goneSql = (of: string) => `
    select ${of}.* from ${of}
    where not exists (select from "JobWork" waiting where waiting."id" = ${of}."workId")
      and ${of}."workId" not in (
        select coalesce(held."workId", held."runId")
        from "JobClaim" claim cross join unnest(claim."runIds", claim."workIds", claim."uniqueKeys") as held("runId", "workId", "key")
        where claim."uniqueKeys" is not null and held."key" is not null
      )`

const LOCK_SQL = `
  with seen as materialized (
    select "name", "key", "workId" from "JobUnique" where ("name", "key") > ($1, $2)
    order by "name", "key" limit ${KEYS_PER_LOOK}
  ), gone as materialized (${goneSql('seen')}
  )
  select "name", "key", true as "isLocked", false as "isLast" from (
    select held."name", held."key" from gone join "JobUnique" held on held."name" = gone."name" and held."key" = gone."key"
    where held."workId" = gone."workId" for update of held skip locked
  ) locked
  union all
  select "name", "key", false, true from (
    select "name", "key" from seen offset ${KEYS_PER_LOOK - 1}
  ) last`

/** Looks once more: who redrives work has its key locked, and may have given it back before the lock here was taken. */
const FREE_SQL = `
  with locked as materialized (
    select held."name", held."key", held."workId"
    from unnest($1::text[], $2::text[]) as wanted(name, key) join "JobUnique" held on held."name" = wanted.name and held."key" = wanted.key
  ), gone as materialized (${goneSql('locked')}
  )
  delete from "JobUnique" held using gone where held."name" = gone."name" and held."key" = gone."key"`
