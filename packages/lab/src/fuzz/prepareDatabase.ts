import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isScheduled, type Job } from '@roundsman/engine'
import { cleanupI18nCache, jobs } from '@roundsman/jobs'
import { HOLD_RUNS_SQL } from '@roundsman/testing'
import { openPool } from '../openPool.ts'
import { WORKSPACE_ROOT } from '../startProcess.ts'

const RUNS = 120
const DEAD_LETTERS = 60
const TICKS = 20

/**
 * Fills the database with what requests can be about: the demo data, and what only workers make: runs of every kind, ticks,
 * schedules, limits and dead letters.
 */
export async function prepareDatabase(url: string): Promise<void> {
  // Migrations and demo data as a user has them.
  const scripts = join(WORKSPACE_ROOT, 'scripts')
  const args = [join(scripts, 'source.ts'), join(scripts, 'seed.ts')]
  const env = { ...process.env, DATABASE_URL: url, HOST: '127.0.0.1', NODE_ENV: 'test' }
  await promisify(execFile)(process.execPath, args, { env })
  const database = openPool({ url, applicationName: 'roundsman fuzz', poolSize: 1 })
  try {
    for (const { name, schedule } of (jobs as readonly Job[]).filter(isScheduled)) {
      await database.query(SCHEDULE_SQL, [name, schedule.cron, schedule.timeZone])
      await database.query(TICKS_SQL, [name, TICKS])
    }
    await database.query(LIMITS_SQL, [jobs.map(({ name }) => name)])
    await database.query(RUNS_SQL, [RUNS, jobs.map(({ name }) => name), cleanupI18nCache.name])
    await database.query(HOLD_RUNS_SQL)
    await database.query(DEAD_LETTERS_SQL, [DEAD_LETTERS, cleanupI18nCache.name])
  } finally {
    await database.close()
  }
}

/** Paused: requests resume it, and then pause it again. */
const SCHEDULE_SQL = `
  insert into "JobSchedule" ("name", "cron", "timeZone", "cursor", "pausedAt", "pausedBy")
  values ($1, $2, $3, now(), now(), 'fuzz') on conflict do nothing`

const TICKS_SQL = `
  insert into "JobTick" ("name", "outcome", "scheduledFor", "reason", "workerId")
  select $1, outcome::"TickOutcome", date_trunc('second', now()) - (n * 4 + kind) * interval '1 minute',
         case when outcome <> 'enqueued' then 'fuzz' end, 'fuzz'
  from unnest(array['enqueued', 'coalesced', 'missed', 'skipped']) with ordinality drawn(outcome, kind)
  cross join generate_series(0, $2::int - 1) n on conflict do nothing`

/** Of each job, by which it has keys, and one that all share. */
const LIMITS_SQL = `
  insert into "JobLimit" ("name", "global", "order", "jobs")
  select 'job:' || name, null, 'fair', null from unnest($1::text[]) name union all select 'fuzz', 5, null, $1::text[]`

/** Of eight, two run, one has succeeded and one has failed; the others are for requests that approve, which each can be once. */
const RUNS_SQL = `
  insert into "JobRun" ("id", "name", "trigger", "workerId", "startedAt", "endedAt", "status", "errorCode", "progress", "details")
  select gen_random_uuid(), case when kind < 4 then ($2::text[])[1 + n % cardinality($2::text[])] else $3 end, 'queue', 'fuzz', at,
         case when kind > 1 then at + interval '1234 ms' end,
         (case when kind < 2 then 'running' when kind = 2 then 'success' else 'failed' end)::"JobRunStatus",
         case when kind = 3 then 'handler_failed' when kind > 3 then 'guard_blocked' end,
         case when kind < 2 then '{"done": 1, "total": null}'::jsonb end,
         case when kind = 2 then jsonb_build_object('cleaned', n)
              when kind = 3 then '{"error": {"code": "handler_failed", "message": "=1+1, \\"quoted\\"\\n"}}'
              when kind > 3 then '{"error": {"code": "guard_blocked", "message": "Too many"}, "guard": {"due": 5}}' end
  from generate_series(0, $1::int - 1) n
  cross join lateral (select n % 8 as kind, date_trunc('second', now()) - n * interval '1 minute' as at) drawn`

const DEAD_LETTERS_SQL = `
  insert into "JobDeadLetter" ("id", "name", "bytes", "errorCode", "errorMessage", "payload")
  select gen_random_uuid(), $2, 2, 'handler_failed', 'given up', '{}' from generate_series(1, $1::int)`
