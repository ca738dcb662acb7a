import { instantOf, labelOf } from './envelopeSql.ts'

/*
 * Waiting work, not taken yet or to be retried, as people see and change it. These statements, like a claim, skip rows that
 * others have locked: a piece of work is either taken or changed, never both.
 */

/** Keeps a call short, however many there are. */
const MAX_CHANGED = 10_000
const MAX_COUNTED = 100_000

/** Of job `$1`, the work `$2` (null: any) with the label `$3` (null: any). */
const MATCHES = `
  job.name = $1 and job.state < 'active' and not job.blocked and ($2::uuid[] is null or job.id = any($2::uuid[]))
  and ($3::text is null or job.data ->> 'label' = $3::text)`

/** `assignments` may use `queue`, the job's queue. It returns a row for each piece it changed, or one without an id. */
const changeSql = (isWanted: string, assignments: string) => `
  with chosen as materialized (
    select job.id from pgboss.job job where ${MATCHES} and ${isWanted}
    order by job.priority desc, job.created_on limit ${MAX_CHANGED} for update skip locked
  ), changed as (
    update pgboss.job job set ${assignments} from pgboss.queue queue
    where queue.name = $1 and job.name = $1 and job.id = any(array(select id from chosen))
    returning job.id
  ), counted as (
    select count(*) as count from (
      select from pgboss.job job where ${MATCHES} and ${isWanted} limit ${MAX_CHANGED + MAX_COUNTED}
    ) one
  )
  select changed.id::text as "workId", "left"."count" as "left", pg_current_xact_id()::text as "transactionId"
  from (
    select greatest(0, (select count from counted) - (select count(*) from chosen))::int as "count"
  ) "left" left join changed on true`

/**
 * Assignments that cancel `job` of `queue` as pg-boss does: the row stays as long as pg-boss keeps completed work, so that
 * others can ask what became of it. `output` is an error's code and message.
 */
export const cancelAs = (output: string) =>
  `state = 'cancelled', completed_on = now(), deletion_seconds = queue.deletion_seconds, output = ${output}`

export const CANCEL_WORK_SQL = changeSql(
  'true',
  cancelAs(
    `jsonb_build_object('code', 'cancelled', 'message', 'Somebody cancelled the work before it started')`,
  ),
)

/** Cancels the work of the approved run `$1`, unless it runs: the approved work takes its place, and is not to be done beside it. */
export const CANCEL_WORK_OF_APPROVED_RUN_SQL = `
  update pgboss.job job
  set ${cancelAs(`jsonb_build_object('code', 'guard_blocked', 'message', 'Its run was approved, and other work does what it was to do')`)}
  from pgboss.queue queue, "JobRun" run
  where run."id" = $1::uuid and queue.name = run."name" and job.name = run."name" and job.id = run."workId"
    and job.state::text in ('created', 'retry', 'failed')
  returning job.id::text as "id"`

/** Postpones work to the instant `$4`, from which its retention counts anew. */
export const POSTPONE_WORK_SQL = changeSql(
  `case when $4::timestamptz > now() then job.start_after < $4::timestamptz else job.start_after > now() end`,
  `start_after = greatest($4::timestamptz, now()),
    keep_until = greatest(job.keep_until, greatest($4::timestamptz, now()) + queue.retention_seconds * interval '1 second')`,
)

export const PRIORITISE_WORK_SQL = changeSql('job.priority <> $4::int', 'priority = $4::int')

/** As `state < 'active'`, and by an index of pg-boss that lists a state by time. */
const WAITS = `job.state in ('created', 'retry') and not job.blocked`

const PAGE_COLUMNS = `
  job.id, job.name, job.data, job.start_after, job.created_on, job.priority, job.singleton_key, job.started_on, job.retry_count`

/** What comes after the position `$2` and `$3` (null: from the first). */
const IS_AFTER = `
  ($2::timestamptz is null or (job.start_after >= $2::timestamptz and (job.start_after, job.id) > ($2::timestamptz, $3::uuid)))`

/** An index lists the work of each queue and state in this order. */
const pageSql = (state: string) => `
  select ${PAGE_COLUMNS} from pgboss.job job
  where job.name = queue.name and job.state = '${state}' and job.blocked = false and ${IS_AFTER}
  order by job.start_after, job.id limit $4::int`

const PAGES = `
  select page.* from pgboss.queue queue cross join lateral (
    (${pageSql('created')}) union all (${pageSql('retry')})
  ) page
  where $1::text is null or queue.name = $1::text`

/** No index holds labels of work: all that waits is read once, and not once for each queue. */
const isLabelled = (label: string) =>
  `${WAITS} and job.data ->> 'label' = ${label}::text and ($1::text is null or job.name = $1::text)`

const LABELLED = `select ${PAGE_COLUMNS} from pgboss.job job where ${isLabelled('$5')} and ${IS_AFTER}`

/** Lists waiting work of job `$1` (null: any) by when it is due. */
const listSql = (pages: string) => `
  select work.id::text as "workId", work.name, ${labelOf('work.data')} as "label",
         work.start_after as "startAfter", work.start_after <= now() as "isDue", work.start_after::text as "position",
         work.created_on as "enqueuedAt",
         case when work.started_on is null then 0 else greatest(0, work.retry_count + 1) end as "attempts", work.priority,
         work.singleton_key is not null as "hasUniqueKey",
         ${instantOf('work.data', 'expiresAt')} as "expiresAt"
  from (
    select page.* from (${pages}) page order by page.start_after, page.id limit $4::int
  ) work
  order by work.start_after, work.id`

export const LIST_WAITING_WORK_SQL = listSql(PAGES)
/** With the label `$5`. */
export const LIST_LABELLED_WORK_SQL = listSql(LABELLED)

/** Whether any work in `state` waits in `queue`. The order has PostgreSQL look into the index, and not through the table. */
const waitsIn = (state: string) => `exists (
  select from (
    select from pgboss.job job where job.name = queue.name and job.state = '${state}' and job.blocked = false
    order by job.start_after limit 1
  ) first
)`

/** Counts waiting work of job `$1` (null: any), and names its jobs. */
export const SUM_WAITING_WORK_SQL = `
  select (
           select count(*)::int from (
             select from pgboss.job job where ${WAITS} and ($1::text is null or job.name = $1::text) limit ${MAX_COUNTED}
           ) one
         ) as "count", array(
           select queue.name from pgboss.queue queue
           where ($1::text is null or queue.name = $1::text) and (${waitsIn('created')} or ${waitsIn('retry')}) order by 1
         ) as "names"`

/** The same, of the work with the label `$2`. */
export const SUM_LABELLED_WORK_SQL = `
  select least(${MAX_COUNTED}, coalesce(sum(of.count), 0))::int as "count",
         coalesce(array_agg(of.name order by of.name), '{}') as "names"
  from (select job.name, count(*) as count from pgboss.job job where ${isLabelled('$2')} group by 1) of`
