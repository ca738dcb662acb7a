import type { Connection, Database } from '../database/database.ts'
import { hasNotEnded } from './heldRuns.ts'

/**
 * Whether newer work has taken the unique key of `work`, whose id is `id`. That may have ended since: then the key is free, or
 * others have it. All waiting and running work that was not replaced has its key.
 */
export const isReplacedSql = (work: string, id: string) => `(
           ${work}."uniqueKey" is not null and not exists (
             select from "JobUnique" one
             where one."name" = ${work}."name" and one."key" = ${work}."uniqueKey" and one."workId" = ${work}."${id}"
           )
         )`

/**
 * Deletes the keys of the work in `pieces`, whose ids are in the column `id`. It waits for no lock: a transaction that replaces the
 * work may hold a key, and then finds the work gone, or a round frees the key. It finds each key by the index, however many.
 */
export const releaseKeysSql = (pieces: string, id: string) => `
    delete from "JobUnique" held using (
      select free.* from ${pieces} cross join lateral (
        select one."name", one."key" from "JobUnique" one
        where one."name" = ${pieces}."name" and one."key" = ${pieces}."uniqueKey" and one."workId" = ${pieces}."${id}"
        for update skip locked
      ) free
    ) free where held."name" = free."name" and held."key" = free."key"`

/** A look sees no more. */
const KEYS_PER_LOOK = 1_000

/** The last key that a look has seen. */
export interface KeyPosition {
  name: string
  key: string
}

/**
 * Frees unique keys whose work exists no longer: the end of the work met the lock of a transaction that then rolled back. It
 * looks at a thousand keys after `after`, and skips locked ones.
 * @returns Where the next look goes on: null at the end
 */
export async function freeUniqueKeys(
  database: Database,
  after: KeyPosition | null,
): Promise<KeyPosition | null> {
  const { rows } = await database.query<KeyPosition & { isGone: boolean; isLast: boolean }>(
    LOOK_SQL,
    [after?.name ?? '', after?.key ?? ''],
  )
  const last = rows.find(({ isLast }) => isLast)
  const gone = rows.filter(({ isGone }) => isGone)
  if (gone.length > 0) await database.transaction((tx) => freeOrphanedKeys(tx, gone))
  return last === undefined ? null : { name: last.name, key: last.key }
}

/**
 * Frees those of these keys whose work is nowhere, in the caller's transaction. It skips locked keys, or waits
 * for that, in the order of `keys`.
 */
export async function freeOrphanedKeys(
  tx: Connection,
  keys: readonly KeyPosition[],
  { waits = false } = {},
): Promise<void> {
  const toColumns = (of: readonly KeyPosition[]) => [
    of.map(({ name }) => name),
    of.map(({ key }) => key),
  ]
  // Race: packages/engine/test/queue/uniqueKeys.test.ts "keeps the key of work that came back after its %s"
  const { rows: locked } = await tx.query<KeyPosition>(
    waits ? LOCK_SQL : `${LOCK_SQL} skip locked`,
    toColumns(keys),
  )
  await tx.query(FREE_SQL, toColumns(locked))
}

/** The work that runs and has a unique key, in the claims that `among` lists. */
export const runningKeyedSql = (among = 'claim."uniqueKeys" is not null') => `
          select coalesce(held."workId", held."runId") as "workId"
          from "JobClaim" claim cross join unnest(claim."runIds", claim."workIds", claim."uniqueKeys") as held("runId", "workId", "key")
          where ${among} and held."key" is not null and ${hasNotEnded('held."runId"')}`

/**
 * Whether the work with this id waits or runs. Work moves between both places in one transaction, so a statement sees it in one of
 * them. It looks the id up: for an `exists` a plan that a host's connection keeps may read all that waits.
 */
export const isSomewhereSql = (workId: string, running = runningKeyedSql()) => `(
        (select true from "JobWork" waiting where waiting."id" = ${workId}) is not null
        or ${workId} in (${running}
        )
      )`

const goneSql = (keys: string) => `
    select "name", "key" from ${keys} where not ${isSomewhereSql('"workId"')}`

const LOOK_SQL = `
  with seen as materialized (
    select "name", "key", "workId" from "JobUnique" where ("name", "key") > ($1, $2)
    order by "name", "key" limit ${KEYS_PER_LOOK}
  )
  select "name", "key", true as "isGone", false as "isLast" from (${goneSql('seen')}
  ) gone
  union all
  select "name", "key", false, true from (select * from seen offset ${KEYS_PER_LOOK - 1}) last`

/** A key whose work is somewhere stays unlocked: the end of that work has to free it. */
const LOCK_SQL = `
  select held."name", held."key" from unnest($1::text[], $2::text[]) with ordinality as gone(name, key, at)
    join "JobUnique" held on held."name" = gone.name and held."key" = gone.key
  where not ${isSomewhereSql('held."workId"')}
  order by gone.at for update of held`

/**
 * Checks keys again once they are locked: until then their work could be enqueued or redriven.
 * Race: packages/engine/test/queue/uniqueKeys.test.ts "keeps the key of work that came back after its %s"
 */
const FREE_SQL = `
  with locked as materialized (
    select held.* from unnest($1::text[], $2::text[]) as locked(name, key)
      join "JobUnique" held on held."name" = locked.name and held."key" = locked.key
  )
  delete from "JobUnique" held using (${goneSql('locked')}
  ) gone where held."name" = gone."name" and held."key" = gone."key"`
