import { createDatabaseClient } from '@roundsman/db'
import { migrate } from '@roundsman/engine/migrate'
import { createWorker } from '@roundsman/engine/worker'
import { HOLD_RUNS_SQL } from '@roundsman/testing'
import pg from 'pg'
import { bulkInsert } from '../bulkInsert.ts'
import { log, withClient } from '../openServer.ts'
import { CONSOLE_JOBS } from './consoleJobs.ts'

export interface HistorySize {
  runs: number
  waiting: number
  deadLetters: number
}

/** 1.3 runs a second for three months are ten million. */
const RUNS_PER_DAY = 111_111
/** Runs under way, which have been so for longer than any duration that is asked for. */
const RUNNING = 3
/** The worker that holds them. */
export const LIVING_WORKER = 'worker-1:4711:5f0c2a91'

/**
 * A history up to two minutes ago: of a hundred runs one has failed, in seven ways and a rare one; of a thousand one was
 * started by a person, and another took long. Half of the labels are one of a kind, the others those of customers.
 * Beside it work that waits, and dead letters.
 */
export async function fillHistory(url: string, size: HistorySize, seed: number): Promise<void> {
  await migrate({ schema: 'public', databaseUrl: url, log })
  await defineSchedules(url)
  await withClient(url, async (client) => {
    await client.query(FUNCTION_SQL)
    await bulkInsert(client, 'JobRun', runsSql(size.runs, seed))
    await client.query(HOLD_RUNS_SQL)
    await bulkInsert(
      client,
      'JobTick',
      `insert into "JobTick" ("name", "scheduledFor", "outcome", "workId", "workerId")
       select "name", "scheduledFor", 'enqueued', "workId", "workerId" from "JobRun"
       where "scheduledFor" is not null on conflict do nothing`,
    )
    await client.query(WAITING_SQL, [size.waiting])
    await client.query(DEAD_LETTERS_SQL, [size.deadLetters])
    for (const table of ['JobWork', 'JobDeadLetter', 'JobClaim'])
      await client.query(`vacuum analyze "${table}"`)
    await client.query('checkpoint')
  })
}

/** As a worker does that starts. */
async function defineSchedules(url: string): Promise<void> {
  const client = createDatabaseClient({
    url,
    applicationName: 'bench',
    onPoolError: () => undefined,
  })
  const jobs = CONSOLE_JOBS.map(({ job }) => job)
  const handlers = Object.fromEntries(jobs.map(({ name }) => [name, async () => undefined]))
  const settings = { schema: 'public', databaseUrl: url, retention: false } as const
  const worker = createWorker({ ...settings, client, jobs, handlers, log })
  try {
    await worker.start()
  } finally {
    await worker.stop()
    await client.$disconnect()
  }
}

/** A worker that lives as long as this connection, and takes nothing. */
export async function openLivingWorker(url: string): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: url, application_name: 'bench worker' })
  client.on('error', () => undefined)
  await client.connect()
  await client.query('select pg_advisory_lock(hashtextextended($1, 0))', [LIVING_WORKER])
  const lanes = Object.fromEntries(CONSOLE_JOBS.map(({ job }) => [job.name, job.concurrency]))
  await client.query(
    `insert into "JobWorker" ("id", "liveness", "startedAt", "version", "lanes")
     values ($1, 'lock', now() - interval '3 hours', 'b1946ac92492', $2)`,
    [LIVING_WORKER, JSON.stringify(lanes)],
  )
  return () => client.end()
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

function runsSql(rows: number, seed: number): string {
  const draw = (salt: number, of: number) =>
    `((hashint8extended(n, ${seed * 100 + salt}) & 1073741823) % ${of})`
  let upTo = 0
  const names = CONSOLE_JOBS.map(({ job, share, from = 0, to = 1 }) => {
    upTo += share
    const isThen = `n > ${Math.floor(from * rows)} and n <= ${Math.floor(to * rows)}`
    return `when ${draw(1, 10_000)} < ${upTo} and ${draw(1, 10_000)} >= ${upTo - share} and ${isThen} then '${job.name}'`
  })
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
               when name in ('importFeed', 'pruneRows') then 'schedule'
               when ${draw(6, 1_000)} = 0 then case when ${draw(7, 10)} = 0 then 'cli' else 'manual' end
               else 'queue' end as trigger
      from (
        select n, now() - interval '2 minutes' - (${rows} - n) * interval '1 day' / ${RUNS_PER_DAY} as started,
               case when ${draw(5, 100)} = 0 and n <= ${rows - RUNNING} then
                 case when ${draw(10, 4_000)} = 0 then '${RARE_CODE}' ${codes.join(' ')} end end as code,
               case when ${draw(2, 1_000)} = 0 then 30000 + ${draw(11, 60_000)} else 5 + ${draw(2, 900)} end as took,
               case ${names.join(' ')} else 'syncOrder' end as name
        from generate_series(1, ${rows}::bigint) n
      ) drawn
    ) run`
}

/** Most of it is due, and each tenth for later. */
const WAITING_SQL = `
  insert into "JobWork" ("id", "name", "place", "dueAt", "bytes", "label", "payload")
  select gen_random_uuid(), case when n % 4 = 0 then 'renderInvoice' else 'sendMail' end,
         case when n % 10 <> 0 then nextval('"JobPlace"') end,
         now() + case when n % 10 = 0 then interval '1 hour' else interval '-1 minute' end + n * interval '1 ms',
         2, 'customer ' || n, '{}'
  from generate_series(1, $1::int) n`

const DEAD_LETTERS_SQL = `
  insert into "JobDeadLetter" ("id", "name", "attempt", "failures", "bytes", "label", "enqueuedAt", "failedAt", "errorCode",
    "errorMessage", "payload")
  select gen_random_uuid(), case when n % 50 = 0 then 'syncOrder' else 'sendMail' end, 3, 3, 2, 'customer ' || n, at, at,
         case when n % 1000 = 0 then '${RARE_CODE}' when n % 3 = 0 then 'order_invalid' else 'shop_unavailable' end,
         'The shop refuses it', '{}'
  from generate_series(1, $1::int) n
  cross join lateral (select now() - n * interval '1 minute' as at) failed`
