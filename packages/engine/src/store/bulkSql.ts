/*
 * A bulk act is in one of these states.
 *
 *   open      Its row has the ids of what matched when it was asked for, in parts. A step does some of them, in a transaction that
 *             changes the work, the parts and the row. Whoever makes a step holds the row, and others pass over it.
 *   ended     The last part is done. The row is the record of what was done: there is no JobAction for each piece.
 *   stopped   Somebody stopped it before. The parts that are left have what it has not come to.
 */

/** Nobody has made a step for so long: its process is gone, or was never told. Whoever comes by goes on with it. */
export const STANDS_STILL = `
  "endedAt" is null and "movedAt" <= statement_timestamp() - interval '3 seconds'`

/** Takes the act `$1`, or with null one that stands still, unless somebody has it. */
export const TAKE_BULK_SQL = `
  select "id"::text as "id", "kind", "request", "actor", "reason", "nextPart" from "JobBulk"
  where case when $1::uuid is null then ${STANDS_STILL} else "id" = $1::uuid and "endedAt" is null end
  order by "movedAt" limit 1 for update skip locked`

/** What is to be done of the act `$1` in its parts from `$2` to before `$3`. */
export const BULK_PARTS_SQL = `
  select "ids"::text[] as "ids" from "JobBulkPart"
  where "bulkId" = $1::uuid and "part" >= $2::int and "part" < $3::int order by "part"`

/** Notes that these parts are done: the pieces `$4`, and how many it has passed over, `$5`. */
export const MOVE_BULK_SQL = `
  with part as (
    update "JobBulkPart" set "ids" = '{}', "done" = array(select id from unnest("ids") id where id in (select unnest($4::uuid[])))
    where "bulkId" = $1::uuid and "part" >= $2::int and "part" < $3::int
  )
  update "JobBulk" bulk
  set "done" = "done" + cardinality($4::uuid[]), "nextPart" = $3::int, "movedAt" = statement_timestamp(), "problem" = null,
      "endedAt" = case when $3::int >= "parts" then now() end,
      "passed" = (
        select coalesce(jsonb_object_agg(each.key, each.count), '{}') from (
          select key, sum(value::int) as count from (
            select * from jsonb_each_text(bulk."passed") union all select * from jsonb_each_text($5::jsonb)
          ) of group by key having sum(value::int) > 0
        ) each
      )
  where "id" = $1::uuid`

export const TELL_PROBLEM_SQL = `
  update "JobBulk" set "problem" = $2
  where "id" = $1::uuid and "endedAt" is null`

export const SEE_LETTERS_SQL = `
  select "id"::text as "id", "name" from "JobDeadLetter" where "id" = any($1::uuid[])`

/** Asks the runs `$1` to stop, as `$2` wants for the reason `$3`. */
export const CANCEL_RUNS_SQL = `
  with run as materialized (
    select "id", "name" from "JobRunAll" where "id" = any($1::uuid[]) and "status" = 'running'
  ), asked as (
    insert into "JobCancel" ("runId", "name", "requestedBy", "reason")
    select "id", "name", $2, $3 from run on conflict do nothing returning "runId"
  )
  select (select count(*)::int from run) as "running", array(select "runId"::text from asked) as "done"`
