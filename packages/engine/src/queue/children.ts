import type { Connection, PreparedStatement } from '../database/database.ts'
import { PLACE_SQL } from './place.ts'

/*
 * Children: the work that a step of durable work has enqueued, and waits for.
 *
 * Every statement that takes a child out of the queue writes its end here with endChildrenSql: success, a dead letter, a cancellation, an expiry.
 * The row is then fresh, and so is the step of a parent that begins to wait. joinChildren looks at fresh rows, and wakes parents
 * none of whose children is open. The parent's next run makes the step a memo.
 *
 * A row that is fresh and has no end is of a child whose parent was cancelled: cancelAbandoned cancels it.
 */

export const CHILD_TABLE_SQL = `
      CREATE TABLE "JobChild" (
          "parentId" UUID NOT NULL,
          "step" TEXT NOT NULL,
          "item" TEXT NOT NULL,
          -- Its place in the list, from 0.
          "at" INTEGER NOT NULL,
          "workId" UUID NOT NULL,
          "job" TEXT NOT NULL,
          "endedAt" TIMESTAMPTZ(3),
          -- Null: it has succeeded, or has not ended.
          "errorCode" TEXT,
          "result" JSONB,
          -- No statement has looked for its parent yet.
          "isFresh" BOOLEAN NOT NULL DEFAULT false,

          CONSTRAINT "JobChild_pkey" PRIMARY KEY ("parentId", "step", "item", "at")
      );

      CREATE UNIQUE INDEX "JobChild_workId_key" ON "JobChild"("workId");
      CREATE INDEX "JobChild_open_idx" ON "JobChild"("parentId", "step", "item") WHERE "endedAt" IS NULL;
      CREATE INDEX "JobChild_fresh_idx" ON "JobChild"("parentId") WHERE "isFresh";`

/** Must be empty: children in no table, for which their parents would wait without end. */
export const LOST_CHILDREN_VIEW_SQL = `
      CREATE VIEW "JobChildLost" AS
      SELECT child.* FROM "JobChild" child
      WHERE child."endedAt" IS NULL AND (SELECT true FROM "JobWork" work WHERE work."id" = child."workId") IS NULL
        AND child."workId" NOT IN (
          SELECT coalesce(held."workId", held."runId") FROM "JobClaim" claim
            CROSS JOIN unnest(claim."runIds", claim."workIds") AS held("runId", "workId")
          WHERE (SELECT run."status" <> 'running' FROM "JobRun" run WHERE run."id" = held."runId") IS NOT TRUE
        );`

/** Ends the children among the pieces of `from`, whose ids are in the column `id`. The first end counts. */
export const endChildrenSql = (from: string, id: string, code: string, result = 'null::jsonb') => `
    update "JobChild" child set "endedAt" = now(), "errorCode" = ${code}, "result" = ${result}, "isFresh" = true
    from ${from} where child."workId" = ${from}."${id}" and child."endedAt" is null`

/** Leaves the open children of the pieces in `from`, which were cancelled, to cancelAbandoned. */
export const abandonChildrenSql = (from: string, id: string) => `
    update "JobChild" child set "isFresh" = true from ${from}
    where child."parentId" = ${from}."${id}" and child."endedAt" is null and child."workId" not in (select "${id}" from ${from})`

/** The same for those of the step `$2`, `$3` of the work `$1`. */
export const ABANDON_CHILDREN_SQL = `
  update "JobChild" set "isFresh" = true
  where "parentId" = $1::uuid and "step" = $2 and "item" = $3 and "endedAt" is null`

/**
 * Reopens the children among the dead letters `free`, which go back into the queue, where the parent's step still waits. It also does where
 * the parent is a dead letter because children of this step have failed: the step then waits again. Steps from `from` on start again.
 */
export const reopenChildrenSql = (
  from: string,
  isFailedStep: (letter: string, step: string) => string,
) => `, mine as materialized (
    select child."parentId", child."step", child."item", child."at" from "JobChild" child
    where child."workId" in (select "id" from free)
  ), given_up as materialized (
    select "id", "facts" from free where ${from} is null
    union all
    select "id", "facts" from (
      select letter."id", letter."facts" from "JobDeadLetter" letter
      where letter."id" in (select "parentId" from mine except select "id" from free)
      for key share skip locked
    ) letter
  ), awaited as (
    update "JobStep" step set "endedAt" = null, "seq" = null, "result" = null, "error" = null
    where (step."workId", step."name", step."item") in (select "parentId", "step", "item" from mine) and ${IS_OF_CHILDREN('step')}
      and (${from} is null or step."workId" not in (select "id" from free))
      and (step."endedAt" is null or exists (select from given_up where given_up."id" = step."workId" and ${isFailedStep('given_up', 'step')}))
    returning step."workId", step."name", step."item"
  ), reopened as (
    update "JobChild" child set "endedAt" = null, "errorCode" = null, "result" = null, "isFresh" = false
    from mine join awaited on awaited."workId" = mine."parentId" and awaited."name" = mine."step" and awaited."item" = mine."item"
    where child."parentId" = mine."parentId" and child."step" = mine."step" and child."item" = mine."item" and child."at" = mine."at"
    returning child."workId"
  )`

const IS_OF_CHILDREN = (step: string) => `${step}."kind" in ('map', 'invoke')`
export const OF_STEP = (one: string) =>
  `child."parentId" = ${one}."workId" and child."step" = ${one}."name" and child."item" = ${one}."item"`
/** Whether no child of the step is open. */
export const areEndedSql = (step: string) =>
  `not exists (select from "JobChild" child where ${OF_STEP(step)} and child."endedAt" is null)`

/** The end of the last child of a step. */
export const lastEndSql = (step: string) =>
  `select max(child."endedAt") from "JobChild" child where ${OF_STEP(step)} and ${step}."kind" in ('map', 'invoke')`

/** A step's memo of its children: how many have succeeded and failed, and the first failure; of a single child also its result. */
export const joinedSql = (step: string) => `(
        select jsonb_build_object('step', ${step}."name", 'succeeded', count(*) - count(child."errorCode"), 'failed', count(child."errorCode"), 'first', (
          select jsonb_build_object('code', child."errorCode", 'workId', child."workId") from "JobChild" child
          where ${OF_STEP(step)} and child."errorCode" is not null order by child."at" limit 1
        ), 'result', case when ${step}."kind" = 'invoke' then (select child."result" from "JobChild" child where ${OF_STEP(step)}) end)
        from "JobChild" child where ${OF_STEP(step)}
      )`

/**
 * Makes the step `$4`, `$5` of the work `$3` one that waits for children, while the claim `$2` of the worker `$1` holds the run `$6`.
 * Those of an earlier generation, which started again, no longer count.
 * Race: packages/engine/test/steps/childrenKilled.test.ts "of killed workers are enqueued once, and wake their parent once"
 */
export const BEGIN_CHILDREN_SQL = `
  with claim as materialized (
    select from "JobClaim" where "id" = $2::uuid and "workerId" = $1 for key share
  ), step as (
    insert into "JobStep" as step ("workId", "name", "item", "kind", "runId", "startedAt")
    select $3::uuid, $4, $5, $7, $6::uuid, $8::timestamptz from claim
    on conflict ("workId", "name", "item") do update set "kind" = excluded."kind", "runId" = excluded."runId", "error" = null
    where step."endedAt" is null and step."kind" not in ('map', 'invoke')
    returning step."workId"
  ), earlier as (
    delete from "JobChild" child using step where child."parentId" = step."workId" and child."step" = $4 and child."item" = $5
  )
  select from step`

export const INSERT_CHILDREN_SQL = `
  insert into "JobChild" ("parentId", "step", "item", "at", "workId", "job")
  select $1::uuid, $2, $3, child."at" - 1, child."id", $4 from unnest($5::uuid[]) with ordinality child("id", "at")`

/** A page of children from the place `$4` on. */
export const LIST_CHILDREN_SQL = `
  select "workId"::text as "workId", "errorCode" as "code", "result" from "JobChild"
  where "parentId" = $1::uuid and "step" = $2 and "item" = $3 and "at" >= $4::int order by "at" limit $5::int`

/** Whether the work of a step is in the queue. No look can end a wait of work that runs: it is fresh again once its run is suspended. */
export const WAITS_SQL = `exists (select from "JobWork" work where work."id" = step."workId")`

/** The waits of cancelled work throw. */
export const IS_PARKED = `work."resumptions" is not null and work."facts" -> 'cancelled' is distinct from 'true'`

/** The jobs whose work has become due, and whether there may be more to look at. */
export interface Looked {
  [column: string]: unknown
  names: readonly string[]
  isMore: boolean
}

const MAX_LOOKED_AT = 10_000

/*
 *   fresh    Ended children whose parents no look has seen.
 *   joined   Steps that may be over: of fresh children, or fresh themselves.
 *   seen     Those of them whose work is parked.
 *   held     Those of them that this statement has locked with their work, which is parked.
 *   looked   Steps that are not fresh any more.
 *   woken    The work of those without an open child.
 *   counted  Children that are not fresh any more. If another session has locked their parent, they stay fresh.
 * Race: packages/engine/test/steps/childrenKilled.test.ts "of killed workers are enqueued once, and wake their parent once"
 */
const JOIN_CHILDREN: PreparedStatement = {
  name: 'roundsman_join_children',
  text: `
  with fresh as materialized (
    select "parentId", "step", "item", "at" from "JobChild" where "isFresh" and "endedAt" is not null
    limit ${MAX_LOOKED_AT} for update skip locked
  ), joined as materialized (
    select "parentId" as "workId", "step" as "name", "item" from fresh
    union
    (select "workId", "name", "item" from "JobStep" step where "isFresh" and "kind" in ('map', 'invoke') and ${WAITS_SQL} limit ${MAX_LOOKED_AT})
  ), seen as materialized (
    select joined.* from joined cross join lateral (
      select from "JobStep" step join "JobWork" work on work."id" = step."workId"
      where step."workId" = joined."workId" and step."name" = joined."name" and step."item" = joined."item" and step."endedAt" is null and work."resumptions" is not null
    ) one
  ), held as materialized (
    select one.* from seen cross join lateral (
      select step."workId", step."name", step."item" from "JobStep" step join "JobWork" work on work."id" = step."workId"
      where step."workId" = seen."workId" and step."name" = seen."name" and step."item" = seen."item" and step."endedAt" is null and work."resumptions" is not null
      for update of step, work skip locked
    ) one
  ), looked as (
    update "JobStep" step set "isFresh" = false from held
    where step."workId" = held."workId" and step."name" = held."name" and step."item" = held."item" and step."isFresh"
  ), counted as (
    update "JobChild" child set "isFresh" = false from fresh
    where child."parentId" = fresh."parentId" and child."step" = fresh."step" and child."item" = fresh."item" and child."at" = fresh."at"
      and (fresh."parentId", fresh."step", fresh."item") not in (
        select "workId", "name", "item" from seen except select "workId", "name", "item" from held
      )
  ), woken as (
    update "JobWork" work set "dueAt" = now(), "place" = ${PLACE_SQL}
    from (select distinct "workId" from held where ${areEndedSql('held')}) ended
    where work."id" = ended."workId" and work."place" is null and work."resumptions" > 0
    returning work."name"
  )
  select (select coalesce(array_agg(distinct "name"), '{}') from woken) as "names", (select count(*) from fresh) >= ${MAX_LOOKED_AT} as "isMore"`,
}

/** Wakes work whose children have ended. */
export async function joinChildren(connection: Connection): Promise<Looked> {
  const { rows } = await connection.query<Looked>(JOIN_CHILDREN, [])
  return rows[0] ?? { names: [], isMore: false }
}
