import type pg from 'pg'
import { bulkInsert } from '../bulkInsert.ts'
import { withClient } from '../openServer.ts'

/** Those of a product that enqueues a good deal: 1.3 runs a second make ten million in three months. */
const RUNS_PER_DAY = 111_111

/** How many of ten thousand runs each job has. */
const SHARES = [
  ['dispatchEmail', 5_500],
  ['renderInvoicePdf', 4_380],
  ['cleanupPreviewSessions', 100],
  ['cleanupI18nCache', 15],
  ['pruneJobRuns', 5],
] as const

/**
 * Writes runs up to now, and the ledger of those that a schedule started. One in a hundred has failed, one in a thousand
 * was started by a person, and few jobs have most of them.
 */
export async function fillRuns(url: string, rows: number, seed: number): Promise<void> {
  const draw = (salt: number, of: number) =>
    `(hashint8extended(n, ${seed * 100 + salt}) & 1073741823) % ${of}`
  let upTo = 0
  const name = SHARES.map(
    ([job, share]) => `when ${draw(1, 10_000)} < ${(upTo += share)} then '${job}'`,
  )
  await withClient(url, async (client) => {
    await bulkInsert(
      client,
      'JobRun',
      `
      insert into "JobRun" ("id", "name", "status", "trigger", "attempt", "scheduledFor", "startedAt", "endedAt",
                            "errorCode", "details", "actor", "reason", "workId", "workerId", "createdAt")
      select uuidv7(started - now()), name,
             case when n > ${rows - 3} then 'running' when isfailed then 'failed' else 'success' end::"JobRunStatus",
             trigger::"JobTrigger", case when isfailed then 3 else 1 end,
             case when trigger = 'schedule' then date_trunc('second', started) end, started,
             case when n <= ${rows - 3} then started + (5 + ${draw(2, 900)}) * interval '1 ms' end,
             case when isfailed and n <= ${rows - 3} then 'smtp_unavailable' end,
             case when isfailed
               then '{"error": {"code": "smtp_unavailable", "message": "The mail server refused the connection"}}'::jsonb
               when trigger = 'schedule' then jsonb_build_object('cleaned', ${draw(3, 5_000)}, 'batches', 1)
             end,
             case when trigger in ('manual', 'cli') then 'admin@example.com' end,
             case when trigger = 'manual' then 'a customer asked for it' end,
             case when trigger <> 'cli' then uuidv7(started - now()) end,
             'worker-' || ${draw(4, 3)} || ':' || n / 1000000, started
      from (
        select n, now() - (${rows} - n) * interval '1 day' / ${RUNS_PER_DAY} as started,
               ${draw(5, 100)} = 0 as isfailed,
               case when ${draw(6, 1_000)} = 0 then case when ${draw(7, 10)} = 0 then 'cli' else 'manual' end
                 when ${draw(1, 10_000)} >= 9880 then 'schedule' else 'queue' end as trigger,
               case ${name.join(' ')} end as name
        from generate_series(1, ${rows}::bigint) n
      ) run`,
    )
    await addTheirWork(client)
  })
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
  await withClient(to, async (client) => {
    await bulkInsert(
      client,
      'JobRun',
      'insert into "JobRun" select * from json_populate_recordset(null::"JobRun", $1::json) order by "startedAt"',
      [runs],
    )
    await addTheirWork(client)
  })
  return count
}

/** The claims of runs under way, and the ledger of ticks. */
async function addTheirWork(client: pg.Client): Promise<void> {
  await client.query(`
    insert into "JobClaim" ("id", "name", "workerId", "runIds")
    select "id", "name", "workerId", array["id"] from "JobRun" where "status" = 'running'`)
  await client.query(`
    insert into "JobTick" ("name", "scheduledFor", "outcome", "workId", "workerId")
    select "name", "scheduledFor", 'enqueued', "workId", "workerId" from "JobRun"
    where "scheduledFor" is not null on conflict do nothing`)
  await client.query('vacuum analyze "JobTick"')
  await client.query('checkpoint')
}
