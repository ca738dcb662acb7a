import type { Connection } from '../database/database.ts'
import {
  INSERTED,
  listSql,
  longSql,
  payloadOf,
  placeOf,
  toJson,
  type WorkToInsert,
} from './insertWork.ts'
import { isSomewhereSql, runningKeyedSql } from './uniqueKeys.ts'

/** Work with a unique key. A statement has each key once. */
export interface ReplacingWork extends WorkToInsert {
  uniqueKey: string
  /** Whether it replaces work that waits with its key. Work that does not leaves that alone. */
  replaces: boolean
  /** Whether its job has steps. Such work is not replaced while it is under way, since its steps would stay half done. */
  isDurable: boolean
  /** It is due at most so long after the first that it replaces was enqueued. */
  maxWaitMs?: number | undefined
}

export interface Met {
  /** The work that has the key now: this, or other work that waits or runs. */
  holderId: string
  /** The work that ran with the key until this took it; null when none did. */
  ranBefore: string | null
  /** Whether it can be taken now; false when other work has the key. */
  isDue: boolean
  /** The work with its key has rows of steps, or is durable and under way, so this does not replace it. */
  isKept: boolean
  transactionId: string
}

/**
 * Enqueues work with one statement. Waiting work with the same key gets the new payload. Running work loses the key, and is then
 * not retried. Pass the work in the order of its keys, so that two transactions with the same keys do not wait for each other.
 * @returns What each piece met, by its id. A piece is missing if the key changed hands while the statement waited for it, or if it
 *   replaces nothing and the work that has the key exists no longer. The key is then locked until the transaction ends, and the next
 *   statement sees its holder.
 */
export async function replaceWork(
  connection: Connection,
  work: readonly ReplacingWork[],
): Promise<ReadonlyMap<string, Met>> {
  const { rows } = await connection.query<Met & { id: string }>(REPLACE_SQL, [toJson(work)])
  return new Map(rows.map(({ id, ...met }) => [id, met]))
}

/** When it is due: as asked, but at most `maxWaitMs` after `since`. Without that limit it is null, which `least` ignores. */
const dueOf = (since: string) =>
  `least(greatest(found."startAfter", now()), ${since} + found."maxWaitMs" * interval '1 millisecond')`

/** Its payload stays: its steps belong to that. */
const hasStepsSql = (workId: string) =>
  `coalesce((select true from "JobStep" step where step."workId" = ${workId} limit 1), false)`

const WORK_SQL = listSql(
  ', "replaces" bool, "isDurable" bool, "maxWaitMs" float8',
  ', "replaces", "isDurable", "maxWaitMs"',
)

/*
 * `met` locks the keys, in their order, and sees the holder of each at that moment. The other parts see the tables of the time when
 * the statement began. So work counts as running, or gone, only if it did not wait then and still has the key. If a key has
 * changed hands since, or a claim takes the waiting work, neither `inserted` nor `replaced` has the piece.
 *
 * It uses `in` within an expression: PostgreSQL hashes the list then. In a join it might read the list once for each piece.
 * Race: packages/engine/test/work/longPayloads.test.ts "never runs an older payload than the newest that was committed before, nor leaves one to nobody"
 */
const REPLACE_SQL = `
  with asked as materialized (
    select work.*, case when "replaces" then (
        select held."workId" from "JobUnique" held where held."name" = work."name" and held."key" = work."uniqueKey"
          and (select true from "JobWork" waiting where waiting."id" = held."workId") is null
      ) end as "heldBefore"
    from ${WORK_SQL}
  ), work as materialized (
    select asked.*, case when ("isDurable" or ${hasStepsSql('"heldBefore"')}) and "heldBefore" in (${runningKeyedSql()}
      ) then null else "heldBefore" end as "ranBefore"
    from asked
  ), met as (
    insert into "JobUnique" as held ("name", "key", "workId")
    select "name", "uniqueKey", "id" from work order by "position"
    on conflict ("name", "key") do update set "workId" = case
        when (excluded."workId", held."workId") in (select "id", "ranBefore" from work where "ranBefore" is not null)
          then excluded."workId"
        else held."workId" end
    returning "name", "key", "workId"
  ), found as materialized (
    select work.*, met."workId" as "holderId"
    from work join met on met."name" = work."name" and met."key" = work."uniqueKey"
  ), inserted as (
    insert into "JobWork" (${INSERTED})
    select "id", "name", "rank", ${placeOf(dueOf('now()'))}, ${dueOf('now()')}, "bytes", "uniqueKey", "key", "label", "facts",
      ${payloadOf('found')}
    from found where "holderId" = "id" order by "id"
    returning "id", "place", "dueAt"
  ), replaced as (
    update "JobWork" waiting
    set "rank" = found."rank",
        -- It keeps its turn where it is due as it was, and workers have looked at it as at other work: floors are below it.
        "place" = case when waiting."rank" = found."rank" and waiting."key" is not distinct from found."key" and ${dueOf('waiting."enqueuedAt"')} <= now() and waiting."place" is not null
          and waiting."losses" < 2 and waiting."needs" = 0
          then waiting."place" else ${placeOf(dueOf('waiting."enqueuedAt"'))} end,
        "dueAt" = ${dueOf('waiting."enqueuedAt"')},
        "failures" = 0, "losses" = 0, "lossesAlone" = 0, "needs" = 0, "bytes" = found."bytes", "key" = found."key", "label" = found."label",
        "facts" = case when waiting."attempt" = 1 then found."facts"
          else coalesce(found."facts", '{}') || jsonb_build_object('attemptsBefore', waiting."attempt" - 1) end,
        ("payload", "payloadId") = (${payloadOf('found')})
    from found where found."replaces" and found."holderId" <> found."id" and waiting."id" = found."holderId"
      and not ${hasStepsSql('waiting."id"')}
    returning waiting."id", waiting."place", waiting."dueAt"
  ), put as (
    select * from inserted union all select * from replaced
  ), ${longSql('found', 'holderId', 'coalesce("holderId" in (select "id" from put), false)')}
  ), old as (
    -- As this statement saw the work. A payload that it did not see yet is left to dropOrphanedPayloads.
    delete from "JobPayload" where "id" in (
      select waiting."payloadId" from "JobWork" waiting
      where waiting."payloadId" is not null and waiting."id" in (select "id" from replaced)
    )
  )
  select "id"::text as "id", "holderId"::text as "holderId", case when "holderId" = "id" then "ranBefore"::text end as "ranBefore",
         "holderId" in (
           select "id" from put where "place" is not null or "dueAt" <= now() + interval '1 second'
         ) as "isDue",
         "replaces" and "holderId" not in (select "id" from put) as "isKept", pg_current_xact_id()::text as "transactionId"
  from found where case when "replaces" then "holderId" in (select "id" from put)
      or (${hasStepsSql('"holderId"')} and ${isSomewhereSql('"holderId"')})
      or ("isDurable" and "holderId" in (${runningKeyedSql()}
      ))
    else "holderId" = "id" or ${isSomewhereSql('"holderId"')} end`
