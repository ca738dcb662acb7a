import { HOLD_RUNS_SQL } from '@roundsman/testing'
import type pg from 'pg'
import { bulkInsert } from './bulkInsert.ts'
import { withClient } from './openServer.ts'

/** How the runs of a job lie in a history. */
export interface JobShare {
  name: string
  /** Of ten thousand runs, while it runs. The last job has what the others leave. */
  share: number
  /** The part of the history in which it ran, from 0 to 1. Default: all of it. */
  from?: number
  to?: number
  isScheduled?: boolean
}

/** 1.3 runs a second for three months are ten million. */
const RUNS_PER_DAY = 111_111
/** Runs under way, which have been so for longer than any duration that is asked for. */
const RUNNING = 3
/** The worker that holds them. */
export const LIVING_WORKER = 'worker-1:4711:5f0c2a91'

/** Runs that a statement inserts, with the claims of those under way, and the ledger of ticks. */
export async function fillRuns(
  client: pg.Client,
  insert: string,
  values: unknown[] = [],
): Promise<void> {
  await client.query(FUNCTION_SQL)
  await bulkInsert(client, 'JobRun', insert, values)
  await client.query(HOLD_RUNS_SQL)
  await bulkInsert(
    client,
    'JobTick',
    `insert into "JobTick" ("name", "scheduledFor", "outcome", "workId", "workerId")
     select "name", "scheduledFor", 'enqueued', "workId", "workerId" from "JobRun"
     where "scheduledFor" is not null on conflict do nothing`,
  )
  await client.query('vacuum analyze "JobClaim"')
  await client.query('checkpoint')
}

/** Of a job, by its trigger, failed or not. More than any page shows, and than the console measures. */
const OF_EACH_KIND = 1_000

/**
 * Copies the newest runs of a database to an empty one, and beyond them the newest of each kind, so that a page of what is
 * seldom is as long in both. Returns how many runs these are.
 */
export async function copyNewestRuns(from: string, to: string, newest: number): Promise<number> {
  const { rows } = await withClient(from, (client) =>
    client.query<{ count: number; runs: string }>(`
      select count(*)::int as "count", json_agg(run)::text as "runs" from "JobRun" run
      where run."id" in (
        (select "id" from "JobRun" order by "startedAt" desc, "id" desc limit ${newest})
        union all
        (
          select "id" from (
            select "id", row_number() over (
                     partition by "name", "trigger", "errorCode" is null order by "startedAt" desc
                   ) as place
            from "JobRun" where "trigger" <> 'queue' or "errorCode" is not null
          ) seldom
          where place <= ${OF_EACH_KIND}
        )
      )`),
  )
  const [{ count, runs } = { count: 0, runs: '[]' }] = rows
  const insert =
    'insert into "JobRun" select * from json_populate_recordset(null::"JobRun", $1::json) order by "startedAt"'
  await withClient(to, (client) => fillRuns(client, insert, [runs]))
  return count
}

/** Ids that begin with an instant (RFC 9562, version 7) and are the same whenever they are drawn. */
const FUNCTION_SQL = `
  create or replace function pg_temp.id_at(at timestamptz, salt text) returns uuid language sql immutable as $f$
    select (lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || left(md5(salt), 3)
            || '8' || right(md5(salt), 15))::uuid
  $f$`

/** A text that differs from row to row and a failure that does not, as handlers throw them. */
const FAILURES = [
  { code: 'shop_unavailable', share: 600, message: 'The shop answered with status 503' },
  { code: 'handler_failed', share: 250, message: 'fetch failed' },
  { code: 'timeout', share: 80, message: 'The run took longer than 60 s' },
  { code: 'cancelled', share: 30, message: 'Cancelled by admin@example.com' },
  { code: 'worker_lost', share: 20, message: 'The worker that executed it is gone' },
  { code: 'expired', share: 10, message: 'It came too late to start' },
  {
    code: 'guard_blocked',
    share: 10,
    message: '12000 rows are due and at most 5000 may be changed',
  },
] as const

/** Of some hundred thousand runs one. */
export const RARE_CODE = 'disk_full'

const STACK =
  'at readFeed (apps/worker/src/jobs/importFeed.ts:76:11)\\nat async importFeed (apps/worker/src/jobs/importFeed.ts:11:24)'

/** Of so many runs up to two minutes ago: which jobs have them. The same for the same seed. */
export function runsSql(rows: number, seed: number, jobs: readonly JobShare[]): string {
  const draw = (salt: number, of: number) =>
    `((hashint8extended(n, ${seed * 100 + salt}) & 1073741823) % ${of})`
  let upTo = 0
  const names = jobs.map(({ name, share, from = 0, to = 1 }) => {
    upTo += share
    const isThen = `n > ${Math.floor(from * rows)} and n <= ${Math.floor(to * rows)}`
    return `when ${draw(1, 10_000)} < ${upTo} and ${draw(1, 10_000)} >= ${upTo - share} and ${isThen} then '${name}'`
  })
  const scheduled = jobs.filter(({ isScheduled }) => isScheduled).map(({ name }) => `'${name}'`)
  let codesUpTo = 0
  const codes = FAILURES.map(
    ({ code, share }) => `when ${draw(8, 1_000)} < ${(codesUpTo += share)} then '${code}'`,
  )
  const messages = FAILURES.map(({ code, message }) => `when '${code}' then '${message}'`)
  return `
    insert into "JobRun" ("id", "name", "status", "trigger", "attempt", "scheduledFor", "startedAt", "endedAt", "errorCode",
                          "details", "actor", "reason", "workId", "workerId", "createdAt", "label", "logs")
    select case when trigger = 'queue' then work else pg_temp.id_at(started, 'run ' || n) end, name,
           case when n > ${rows - RUNNING} then 'running' when code is null then 'success' else 'failed' end::"JobRunStatus",
           trigger::"JobTrigger", case when code is null then 1 else 3 end,
           case when trigger = 'schedule' then date_trunc('second', started) end, started,
           case when n <= ${rows - RUNNING} then started + took * interval '1 ms' end,
           code,
           case when code is not null then jsonb_build_object('error', jsonb_build_object(
                  'code', code, 'message', case code ${messages.join(' ')} else 'No space is left on ' || name end)
                  || case when code = 'handler_failed' then '{"name": "TypeError", "stack": "${STACK}",
                     "cause": {"code": "ECONNREFUSED", "message": "connect ECONNREFUSED 10.0.0.7:443"}}'::jsonb else '{}' end)
             when trigger = 'schedule' then jsonb_build_object('imported', ${draw(3, 5_000)}, 'batches', 1)
           end,
           case when trigger in ('manual', 'cli') then 'admin@example.com' end,
           case when trigger = 'manual' then 'A customer asked for it' end,
           work, case when n > ${rows - RUNNING} then '${LIVING_WORKER}'
             else 'worker-' || 1 + ${draw(4, 3)} || ':' || 4711 - (${rows} - n) / 1000000 || ':5f0c2a91' end,
           started,
           case name when 'sendMail' then 'customer ' || ${draw(9, 100_000)} when 'renderInvoice' then 'invoice ' || n end,
           case when code = 'handler_failed' then jsonb_build_object('earlier', 0, 'lines', jsonb_build_array(jsonb_build_object(
             'at', floor(extract(epoch from started) * 1000), 'level', 'info', 'message', 'reading the feed', 'fields', 'page=' || n))) end
    from (
      select *, pg_temp.id_at(started, 'work ' || n) as work, case
               when ${draw(6, 1_000)} = 0 then case when ${draw(7, 10)} = 0 then 'cli' else 'manual' end
               when name in (${scheduled.join(', ')}) then 'schedule'
               else 'queue' end as trigger
      from (
        select n, now() - interval '2 minutes' - (${rows} - n) * interval '1 day' / ${RUNS_PER_DAY} as started,
               case when ${draw(5, 100)} = 0 and n <= ${rows - RUNNING} then
                 case when ${draw(10, 4_000)} = 0 then '${RARE_CODE}' ${codes.join(' ')} end end as code,
               case when ${draw(2, 1_000)} = 0 then 30000 + ${draw(11, 60_000)} else 5 + ${draw(2, 900)} end as took,
               case ${names.join(' ')} else '${jobs.at(-1)?.name}' end as name
        from generate_series(1, ${rows}::bigint) n
      ) drawn
    ) run`
}
