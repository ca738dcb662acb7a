import { useLivingWorkers } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { judgeJobs } from '../../src/judge/judgeJobs.ts'
import { isWorkerSilent } from '../../src/read/listWorkers.ts'
import type { ProblemKind, ProblemStage } from '../../src/judge/problem.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const pay = defineJob({ name: 'pay', timeoutMs: 60_000 })
const report = defineJob({ name: 'report', timeoutMs: 3 * 3_600_000 })
const mail = defineJob({ name: 'mail' })
const jobs = [pay, report, mail]
const runtime = useTestRuntime({
  cleared: [
    'JobQueue',
    'JobWorker',
    'JobFormerWorker',
    'JobLimit',
    'JobKey',
    'JobSchedule',
    'JobThrottle',
    'JobStep',
  ],
})
useLivingWorkers(() => runtime.url, 'w1', 'w2')

const sql = (text: string, ...values: unknown[]) =>
  runtime.rows<Record<string, unknown>>(text, values)

const worker = (
  id: string,
  {
    version,
    names = ['pay', 'report', 'mail', 'nightly'],
    signAgo = '0',
  }: { version?: string; names?: string[]; signAgo?: string } = {},
) =>
  sql(
    `insert into "JobWorker" ("id", "version", "lanes", "startedAt", "heartbeatAt")
     values ($1, $2, $3, now() - interval '2 hours', now() - $4::interval)`,
    ...[id, version ?? null, Object.fromEntries(names.map((name) => [name, 4])), signAgo],
  )
const former = (id: string, version: string) =>
  sql(
    `insert into "JobFormerWorker" values ($1, $2, now() - interval '2 hours', now())`,
    id,
    version,
  )

interface Runs {
  code?: string
  message?: string
  /** The class and the first frame. */
  at?: [string, string]
  by?: string
  workId?: string
  took?: string
}
/** Runs of a job that ended so, a second apart, the last of them started `ago`. */
const runs = (
  name: string,
  count: number,
  ago: string,
  { code, message, at, by = 'w1', workId, took = '0' }: Runs = {},
) =>
  sql(
    `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "createdAt", "errorCode", "details", "workId")
     select gen_random_uuid(), $1, (case when $4::text is null then 'success' else 'failed' end)::"JobRunStatus", 'queue', $5,
            started, started + $8::interval, started, $4, $6::jsonb, $7::uuid
     from generate_series(0, $2::int - 1) n cross join lateral (select now() - $3::interval - n * interval '1 second' as started) at`,
    ...[name, count, ago, code ?? null, by],
    ...[
      { error: { message, ...(at && { name: at[0], stack: `at ${at[1]}` }) } },
      workId ?? null,
      took,
    ],
  )
const letters = (
  name: string,
  count: number,
  ago: string,
  code = 'broken',
  key: string | null = null,
) =>
  sql(
    `insert into "JobDeadLetter" ("id", "name", "bytes", "payload", "errorCode", "errorMessage", "failedAt", "key")
     select gen_random_uuid(), $1, 2, '{}', $4, 'secret', now() - $3::interval - n * interval '1 microsecond', $5 from generate_series(1, $2::int) n`,
    ...[name, count, ago, code, key],
  )
const work = (name: string, count: number, ago: string, key: string | null = null) =>
  sql(
    `insert into "JobWork" ("id", "name", "dueAt", "bytes", "payload", "key")
     select gen_random_uuid(), $1, now() - $3::interval, 2, '{}', $4 from generate_series(1, $2::int)`,
    ...[name, count, ago, key],
  )
const claim = (name: string, count: number, ago: string, limits: string | null = null) =>
  sql(
    `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "createdAt", "expiresAt", "runIds", "enqueuedAts", "limits", "place")
     select gen_random_uuid(), $1, 'w1', now() - $3::interval, now() - $3::interval, 'infinity', array_agg(gen_random_uuid()), array_agg(now()), $4::text[], 1
     from generate_series(1, $2::int)`,
    ...[name, count, ago, limits],
  )
const poison = '00000000-0000-7000-8000-00000000000a'
const putPoison = async (id = poison) => {
  await sql(
    `insert into "JobWork" ("id", "name", "label", "dueAt", "bytes", "payload", "losses") values ($1, 'pay', 'Order 7', now() - interval '3 minutes', 2, '{}', 2)`,
    id,
  )
  await runs('pay', 1, '10 minutes', { code: 'worker_lost', by: 'dead1', workId: id })
  await runs('pay', 1, '4 minutes', { code: 'worker_lost', by: 'dead2', workId: id })
  await sql(`update "JobRun" set "label" = 'Order 7'`)
}
const pauseKey = () =>
  sql(
    `insert into "JobKey" ("name", "key", "pausedUntil", "pausedBy", "pausedAt", "pauseReason")
     values ('pay', 'initech', 'infinity', 'max@example.com', now() - interval '23 days', 'They move')`,
  )

const EXPIRED = {
  code: 'expired',
  message: 'Not started: it was to be started by 2026-01-01T00:00:00.000Z',
}

/** In the largest unit. */
const span = (
  of: string,
) => `(select case when s >= 86400 then floor(s / 86400) || ' d' when s >= 3600 then floor(s / 3600) || ' h' else floor(s / 60) || ' min' end
  from (select extract(epoch from $1::timestamptz - (${of})) as s) one)`
const min = (of: string) => `floor(extract(epoch from $1::timestamptz - (${of})) / 60) || ' min'`
const of = (name: string, where = 'true') =>
  `(select count(*) from "JobRun" where "name" = '${name}' and ${where})`
const failed = (name: string) => of(name, `"errorCode" is not null`)

interface Night {
  is: string
  put: () => Promise<unknown>
  /** The first item: its kind and stage, and its sentence by plain SQL; `$1` is the judge's instant. */
  kind: ProblemKind
  stage: ProblemStage
  says: string
  note?: string
  /** How many items there are. */
  items?: number
}

const NIGHTS: Night[] = [
  {
    is: 'no worker lives, and much waits and is late',
    put: async () => {
      await work('pay', 50, '1 hour')
      await work('report', 5, '1 hour')
      await sql(`insert into "JobThrottle" values ('last sign-off', now() - interval '40 minutes')`)
    },
    kind: 'noWorker',
    stage: 'stopped',
    says: `'No worker is running, so no job is scheduled or run. The last sign of one came ' || ${min(`select "freeAt" from "JobThrottle"`)} || ' ago.'`,
  },
  {
    is: 'workers live, and none takes two jobs',
    put: async () => {
      await worker('w1', { names: ['report'] })
      await work('pay', 9, '2 minutes')
      await work('mail', 3, '15 minutes')
    },
    kind: 'noWorker',
    stage: 'waiting',
    says: `(select 'No living worker takes ' || string_agg(name, ' and ' order by at) || ': ' || sum(n) || ' pieces of work wait, the oldest for ' || ${min('min(at)')} || '.'
      from (select "name", count(*) n, min("dueAt") at from "JobWork" group by 1) one)`,
  },
  {
    is: 'work waits of a job that has left the catalogue',
    put: async () => {
      await worker('w1')
      await work('gone', 9, '3 minutes')
    },
    kind: 'noWorker',
    stage: 'waiting',
    says: `(select 'No living worker takes gone, and this catalogue does not have it: ' || count(*) || ' pieces of work wait, the oldest for ' || ${min('min("dueAt")')} || '.' from "JobWork")`,
  },
  {
    is: 'the only worker is stopped, and work waits for it',
    put: async () => {
      await worker('w1', { signAgo: '5 minutes' })
      await work('pay', 9, '10 minutes')
      await claim('pay', 1, '10 minutes')
    },
    kind: 'silent',
    stage: 'stopped',
    says: `(select 'Worker w1 lives, but has given no sign for ' || ${min('"heartbeatAt"')} || '. A run of pay goes on beyond its time-out.' from "JobWorker")`,
  },
  {
    is: 'one of two workers is stopped, and it alone takes two jobs',
    put: async () => {
      await worker('w1', { names: ['pay', 'mail'], signAgo: '5 minutes' })
      await worker('w2', { names: ['report'] })
      await work('pay', 9, '20 minutes')
      await work('mail', 9, '10 minutes')
      await runs('report', 30, '1 minute')
    },
    kind: 'silent',
    stage: 'waiting',
    says: `(select 'Worker w1 lives, but has given no sign for ' || ${min('"heartbeatAt"')} || '.' from "JobWorker" where "id" = 'w1')`,
    note: `(select 'It is stopped, or a handler blocks it. If it stays silent, end its process: other workers take over its work. Work of '
      || string_agg("name", ' and ' order by "name" desc) || ' waits, which no other living worker takes.' from (select distinct "name" from "JobWork") job)`,
  },
  {
    is: 'a run goes on beyond its time-out',
    put: async () => {
      await worker('w1')
      await claim('pay', 1, '12 minutes')
    },
    kind: 'silent',
    stage: 'waiting',
    says: `(select 'A run of pay has been running for ' || ${min('"startedAt"')} || ', beyond its time-out, and its worker does not end it.' from "JobClaim")`,
  },
  {
    is: 'twelve payments fail, beside old dead letters of a report',
    put: async () => {
      await worker('w1')
      await runs('pay', 12, '2 minutes', {
        code: 'refused',
        at: ['CardError', 'charge (src/pay.ts:3:4)'],
      })
      await runs('pay', 28, '3 minutes')
      await letters('report', 1_200, '3 days')
    },
    kind: 'failing',
    stage: 'losing',
    says: `${failed('pay')} || ' of ' || ${of('pay')} || ' runs of pay failed in the last hour, with refused (CardError at charge (src/pay.ts:3:4)). It began ' ||
      ${min(`select min("startedAt") from "JobRun" where "errorCode" = 'refused'`)} || ' ago.'`,
    items: 2,
  },
  {
    is: 'one version alone fails, in two jobs',
    put: async () => {
      await worker('w1', { version: '4.12' })
      await former('old', '4.11.2')
      for (const name of ['pay', 'mail']) {
        await runs(name, 6, '2 minutes', { code: `broken_${name}`, by: 'old' })
        await runs(name, 9, '3 minutes')
      }
    },
    kind: 'failing',
    stage: 'losing',
    says: `(select count("errorCode") || ' of ' || count(*) || ' runs of mail and pay failed in the last hour, 6 with broken_mail, all on 4.11.2, none on 4.12. It began ' ||
      ${min(`min("startedAt") filter (where "errorCode" is not null)`)} || ' ago, with the first run of version 4.11.2.' from "JobRun")`,
  },
  {
    is: 'two jobs fail by errors of their own, on the only version, which is new',
    put: async () => {
      await worker('w1', { version: '4.12' })
      await runs('pay', 7, '2 minutes', {
        code: 'refused',
        at: ['CardError', 'charge (src/pay.ts:3:4)'],
      })
      await runs('mail', 6, '2 minutes', {
        code: 'ENOSPC',
        at: ['Error', 'write (src/mail.ts:1:2)'],
      })
    },
    kind: 'failing',
    stage: 'losing',
    says: `${failed('pay')} || ' of ' || ${of('pay')} || ' runs of pay failed in the last hour, with refused (CardError at charge (src/pay.ts:3:4)). It began ' ||
      ${min(`select min("startedAt") from "JobRun" where "name" = 'pay'`)} || ' ago, with the first run of version 4.12.'`,
    items: 2,
  },
  {
    is: 'one error breaks two jobs, and work of one is given up',
    put: async () => {
      await worker('w1')
      for (const name of ['pay', 'mail'])
        await runs(name, 6, '2 minutes', {
          code: 'ECONNREFUSED',
          at: ['Error', 'connect (src/db.ts:1:2)'],
        })
      await letters('pay', 2, '1 minute', 'ECONNREFUSED')
    },
    kind: 'failing',
    stage: 'losing',
    says: `(select count("errorCode") || ' of ' || count(*) || ' runs of mail and pay failed in the last hour, with ECONNREFUSED (Error at connect (src/db.ts:1:2)). It began ' ||
      ${min('min("startedAt")')} || ' ago.' from "JobRun")`,
    note: `(select count(*) || ' pieces of work of pay are dead letters.' from "JobDeadLetter")`,
  },
  {
    is: 'a job that runs once a day failed in its last run',
    put: async () => {
      await worker('w1')
      await runs('report', 1, '25 hours')
      await runs('report', 1, '50 minutes', { code: 'timeout' })
    },
    kind: 'failing',
    stage: 'losing',
    says: `(select 'The last run of report failed with timeout, ' || ${min('max("endedAt")')} || ' ago. It began ' || ${min('max("startedAt")')} || ' ago.' from "JobRun")`,
  },
  {
    is: 'runs take two hours and then time out, ten at once',
    put: async () => {
      await worker('w1')
      await runs('report', 10, '125 minutes', { code: 'timeout', took: '2 hours' })
    },
    kind: 'failing',
    stage: 'losing',
    says: `(select count(*) || ' of ' || count(*) || ' runs of report failed in the last hour, with timeout. It began ' || ${span('min("startedAt")')} || ' ago.' from "JobRun")`,
  },
  {
    is: 'a nightly job has failed for three days, after it had succeeded',
    put: async () => {
      await worker('w1')
      for (const days of [1, 2, 3])
        await runs('report', 1, `${days * 24} hours 10 minutes`, { code: 'timeout' })
      await runs('report', 1, '97 hours')
    },
    kind: 'failing',
    stage: 'losing',
    says: `(select 'The last ' || count(*) || ' runs of report failed, the last ' || ${span('max("endedAt")')} || ' ago with timeout. It began ' || ${span('min("startedAt")')} || ' ago.' from "JobRun" where "errorCode" is not null)`,
  },
  {
    is: 'the last runs of a job fail by errors of their own',
    put: async () => {
      await worker('w1')
      await runs('report', 1, '3 minutes', { code: 'ENOENT' })
      await runs('report', 2, '20 minutes', { code: 'timeout' })
      await runs('report', 1, '3 hours')
    },
    kind: 'failing',
    stage: 'losing',
    says: `(select count(*) || ' of ' || count(*) || ' runs of report failed in the last hour, ' || count(*) filter (where "errorCode" = 'timeout') || ' with timeout. It began ' ||
      ${min(`min("startedAt")`)} || ' ago.' from "JobRun" where "errorCode" is not null)`,
  },
  {
    is: 'runs fail of which nobody knows the version, and others run well on a known one',
    put: async () => {
      await worker('w1', { version: '4.12' })
      await former('old', '4.11.2')
      await runs('pay', 6, '4 minutes', { code: 'refused', by: 'unknown' })
      await runs('pay', 6, '2 minutes', { code: 'refused', by: 'old' })
      await runs('pay', 9, '3 minutes')
    },
    kind: 'failing',
    stage: 'losing',
    says: `${failed('pay')} || ' of ' || ${of('pay')} || ' runs of pay failed in the last hour, with refused. It began ' ||
      ${min(`select min("startedAt") from "JobRun" where "errorCode" = 'refused'`)} || ' ago.'`,
  },
  {
    is: 'one version gives work of two jobs up, by an error in each',
    put: async () => {
      await worker('w1', { version: '4.12' })
      await former('old', '4.11.2')
      for (const name of ['pay', 'mail']) {
        await runs(name, 6, '2 minutes', { code: `broken_${name}`, by: 'old' })
        await runs(name, 9, '3 minutes')
        await letters(name, 2, '1 minute', `broken_${name}`)
      }
    },
    kind: 'failing',
    stage: 'losing',
    says: `(select count("errorCode") || ' of ' || count(*) || ' runs of mail and pay failed in the last hour, 6 with broken_mail, all on 4.11.2, none on 4.12. It began ' ||
      ${min(`min("startedAt") filter (where "errorCode" is not null)`)} || ' ago, with the first run of version 4.11.2.' from "JobRun")`,
    note: `(select '2 pieces of work of mail are dead letters. 2 pieces of work of pay are dead letters.')`,
  },
  {
    is: 'work expires before it starts, and nothing else is wrong',
    put: async () => {
      await worker('w1')
      await runs('pay', 30, '5 minutes', EXPIRED)
      await runs('pay', 60, '5 minutes')
      await runs('mail', 40, '5 minutes', {
        code: 'expired',
        message: 'Not started: newer work has taken its unique key',
      })
    },
    kind: 'failing',
    stage: 'losing',
    says: `(select count(*) || ' pieces of work of pay expired before they started, in the last hour.' from "JobRun" where "name" = 'pay' and "errorCode" = 'expired')`,
  },
  {
    is: 'work expires, since somebody has paused its queue some minutes ago',
    put: async () => {
      await worker('w1')
      await sql(
        `insert into "JobQueue" ("name", "pausedAt", "pausedBy") values ('pay', now() - interval '20 minutes', 'max@example.com')`,
      )
      await runs('pay', 30, '5 minutes', EXPIRED)
      await work('pay', 3, '10 minutes')
    },
    kind: 'failing',
    stage: 'losing',
    says: `(select count(*) || ' pieces of work of pay expired before they started, in the last hour.' from "JobRun")`,
    note: `(select "pausedBy" || ' has paused the queue: work expires until somebody resumes it.' from "JobQueue")`,
  },
  {
    is: 'work expires since a partner never answers, which loses other work later',
    put: async () => {
      await worker('w1')
      await runs('report', 20, '30 minutes')
      await claim('report', 4, '12 minutes')
      await work('report', 4, '12 minutes')
      await runs('report', 30, '8 minutes', EXPIRED)
    },
    kind: 'backlog',
    stage: 'losing',
    says: `(select 'report: ' || count(*) || ' pieces of work wait, the oldest for ' || ${min('min("dueAt")')} || ', and none has started in the last 5 min; '
      || (select cardinality("runIds") || ' runs are under way, the oldest for ' || ${min('"startedAt"')} || '.' from "JobClaim") from "JobWork")`,
    note: `(select count(*) || ' pieces of work of report expired before they started, in the last hour.' from "JobRun" where "errorCode" = 'expired')`,
  },
  {
    is: 'a piece of work ends workers with ten others that run beside it',
    put: async () => {
      await worker('w1')
      await putPoison()
      for (let nth = 1; nth <= 9; nth++)
        await putPoison(`00000000-0000-7000-8000-0000000000f${nth}`)
    },
    kind: 'endedWorkers',
    stage: 'losing',
    says: `(select count(distinct "workerId") || ' workers ended while they ran the same ' || count(distinct "workId") || ' pieces of work of pay, the last ' || ${min('max("endedAt")')} || ' ago.' from "JobRun")`,
    note: `'Workers run each of these alone in a process, which shows which one ends it.'`,
  },
  {
    is: 'that piece of work was given up',
    put: async () => {
      await worker('w1')
      await putPoison()
      await sql(
        `with gone as (delete from "JobWork" returning *)
         insert into "JobDeadLetter" ("id", "name", "bytes", "payload", "errorCode", "errorMessage", "failedAt") select "id", "name", 2, '{}', 'worker_lost', '', now() - interval '3 minutes' from gone`,
      )
    },
    kind: 'endedWorkers',
    stage: 'losing',
    says: `(select count(*) || ' workers ended while they ran the same piece of work of pay, the last ' || ${min('max("endedAt")')} || ' ago.' from "JobRun")`,
    note: `(select 'It is Order 7. It was given up ' || ${min('"failedAt"')} || ' ago: retry it once you know that it ends no other worker.' from "JobDeadLetter")`,
  },
  {
    is: 'a worker that lives has lost its session for a moment, twice with the same work',
    put: async () => {
      await worker('w1')
      for (const ago of ['30 minutes', '10 minutes'])
        await runs('pay', 1, ago, { code: 'worker_lost', workId: poison })
      await work('pay', 1, '1 second')
    },
    kind: 'endedWorkers',
    stage: 'over',
    says: `(select 'Worker w1 has lost its session of the database, and ' || count(*) || ' runs of pay, noticed ' || ${min('max("endedAt")')} || ' ago.' from "JobRun")`,
    note: `'It lives: look for what cuts connections.'`,
  },
  {
    is: 'a paused key has more work than is counted, and work of other keys waits as well',
    put: async () => {
      await worker('w1')
      await pauseKey()
      await work('pay', 100_500, '3 hours', 'initech')
      for (const key of ['', 'acme', 'zebra']) await work('pay', 70, '20 minutes', key)
    },
    kind: 'backlog',
    stage: 'waiting',
    says: `(select 'pay: ' || count(*) || ' pieces of work wait, the oldest for ' || ${min('min("dueAt")')} || ', and none has started in the last 5 min.' from "JobWork" where "key" <> 'initech')`,
    items: 2,
  },
  {
    is: 'somebody has set a limit and forgotten it',
    put: async () => {
      await worker('w1')
      await sql(
        `insert into "JobLimit" ("name", "global", "setGlobal", "setBy", "setAt", "setReason", "changedPlace")
         values ('job:pay', 10, 1, 'max@example.com', now() - interval '50 hours', 'They move', 0)`,
      )
      await runs('pay', 20, '30 minutes')
      await claim('pay', 1, '20 seconds', '{job:pay}')
      await work('pay', 20, '9 minutes')
    },
    kind: 'backlog',
    stage: 'waiting',
    says: `(select 'pay: ' || count(*) || ' pieces of work wait, the oldest for ' || ${min('min("dueAt")')} || ', since its limit is full: pay has 1 of its 1 slot.' from "JobWork")`,
    note: `'Reason: They move. max@example.com set it to 1 2 d ago.'`,
  },
  {
    is: 'a job has failed, and succeeds again',
    put: async () => {
      await worker('w1')
      await runs('pay', 30, '40 minutes', { code: 'refused' })
      await runs('pay', 20, '10 minutes')
    },
    kind: 'failing',
    stage: 'over',
    says: `(select count("errorCode") || ' of ' || count(*) || ' runs of pay failed in the last hour, with refused. It began ' || ${min('min("startedAt")')} || ' ago.' from "JobRun")`,
    note: `'No run has failed like this in the last 15 minutes.'`,
  },
  {
    is: '100,000 pieces of work were given up within the hour, and more before',
    put: async () => {
      await worker('w1')
      await letters('pay', 100_100, '2 minutes')
    },
    kind: 'deadLetters',
    stage: 'losing',
    says: `'pay has over 100,000 dead letters, over 100,000 in the last hour, of the last 1,000 most often with broken.'`,
  },
  {
    is: 'exactly as many were given up as are counted, days ago',
    put: async () => {
      await worker('w1')
      await letters('pay', 3, '50 hours')
    },
    kind: 'deadLetters',
    stage: 'over',
    says: `(select 'pay has ' || count(*) || ' dead letters, the last 2 d ago, most often with broken.' from "JobDeadLetter")`,
  },
  {
    is: 'a piece of work ends workers, and a neighbour loses its runs by that',
    put: async () => {
      await worker('w1')
      await putPoison()
      await runs('mail', 6, '4 minutes', { code: 'worker_lost', by: 'dead2' })
      await runs('mail', 20, '5 minutes')
    },
    kind: 'endedWorkers',
    stage: 'losing',
    says: `(select count(distinct "workerId") || ' workers ended while they ran the same piece of work of pay, the last ' || ${min('max("endedAt")')} || ' ago.' from "JobRun" where "name" = 'pay')`,
    note: `'It is Order 7. It waits to start, alone in a process.'`,
  },
  {
    is: 'that piece waits in a paused queue',
    put: async () => {
      await worker('w1')
      await putPoison()
      await sql(`insert into "JobQueue" ("name", "pausedBy") values ('pay', 'max@example.com')`)
    },
    kind: 'endedWorkers',
    stage: 'waiting',
    says: `(select count(*) || ' workers ended while they ran the same piece of work of pay, the last ' || ${min('max("endedAt")')} || ' ago.' from "JobRun")`,
    note: `'It is Order 7. Its queue is paused, so it does not start.'`,
  },
  {
    is: 'a worker died with runs of three jobs',
    put: async () => {
      await worker('w1')
      for (const name of ['mail', 'pay', 'report'])
        await runs(name, 2, '5 minutes', { code: 'worker_lost', by: 'dead' })
    },
    kind: 'endedWorkers',
    stage: 'over',
    says: `(select 'Worker dead ended with ' || count(*) || ' runs of mail, pay and report, noticed ' || ${min('max("endedAt")')} || ' ago.' from "JobRun")`,
  },
  {
    is: 'an effect is in doubt',
    put: async () => {
      await worker('w1')
      await work('pay', 2, '-2 hours')
      // The older one is being looked up: nobody has to answer for it.
      await sql(
        `insert into "JobStep" ("workId", "name", "kind", "runId", "startedAt", "doubtSince", "error")
         select "id", 'charge', 'run', "id", now(), now() - interval '3 hours' * (row_number() over ()),
           case when row_number() over () = 1 then '{"code": "in_doubt", "message": "x"}'::jsonb end
         from "JobWork"`,
      )
    },
    kind: 'inDoubt',
    stage: 'waiting',
    says: `(select 'Step charge of pay may have happened, and its work has waited ' || floor(extract(epoch from $1::timestamptz - max("doubtSince")) / 3600) || ' h' || ' for somebody to say whether it did.' from "JobStep" where "error" is not null)`,
  },
  {
    is: 'a guard has blocked a run, whose dead letter is no second item',
    put: async () => {
      await worker('w1')
      await runs('pay', 1, '5 minutes', { code: 'guard_blocked' })
      await letters('pay', 1, '5 minutes', 'guard_blocked')
      await sql(`update "JobRun" set "details" = '{"guard":{"due":1234}}'`)
    },
    kind: 'blocked',
    stage: 'waiting',
    says: `(select 'A run of pay would change ' || to_char(("details" #>> '{guard,due}')::int, 'FM9,999') || ' rows, more than its guard allows, and waits for an approval.' from "JobRun")`,
  },
  {
    is: 'a queue was paused and forgotten',
    put: async () => {
      await worker('w1')
      await sql(
        `insert into "JobQueue" values ('pay', now() - interval '61 minutes', 'max@example.com', 'They move')`,
      )
      await work('pay', 431, '62 minutes')
    },
    kind: 'paused',
    stage: 'waiting',
    says: `(select "pausedBy" || ' paused the queue of pay 1 h ago: ' || (select count(*) from "JobWork") || ' pieces of work wait.' from "JobQueue")`,
    note: `'Reason: They move. Resume the queue if the reason is over.'`,
  },
  {
    is: 'work waits for a paused key, and the rest is taken',
    put: async () => {
      await worker('w1')
      await pauseKey()
      await work('pay', 12, '2 hours', 'initech')
      await work('pay', 7, '2 minutes', 'acme')
      await runs('pay', 30, '1 second')
    },
    kind: 'paused',
    stage: 'waiting',
    says: `(select count(*) filter (where "key" = 'initech') || ' of ' || count(*) || ' pieces of work of pay wait for key initech, which max@example.com paused 23 d ago.' from "JobWork")`,
  },
  {
    is: 'work waits behind a dead letter of its key, which is no second item',
    put: async () => {
      await worker('w1')
      await sql(`insert into "JobLimit" ("name", "perKey", "order") values ('job:pay', 1, 'fifo')`)
      await sql(
        `insert into "JobDeadLetter" ("id", "name", "bytes", "key", "errorCode", "errorMessage", "failedAt")
         values ('00000000-0000-7000-8000-000000000000', 'pay', 2, 'a', 'refused', '', now() - interval '20 minutes')`,
      )
      await work('pay', 5, '10 minutes', 'a')
      await runs('pay', 1, '20 minutes', { code: 'refused' })
    },
    kind: 'keyBlocked',
    stage: 'waiting',
    says: `(select (select count(*) from "JobWork") || ' pieces of work wait behind a dead letter of key a of pay, given up ' || ${min('"failedAt"')} || ' ago with refused.' from "JobDeadLetter")`,
  },
  {
    is: 'the one run of a job fails beside a third of another',
    put: async () => {
      await worker('w1')
      await runs('pay', 1, '5 minutes', { code: 'odd' })
      await runs('mail', 20, '5 minutes', { code: 'refused' })
      await runs('mail', 40, '5 minutes')
    },
    kind: 'failing',
    stage: 'losing',
    says: `(select '20 of 60 runs of mail failed in the last hour, with refused. It began ' || ${min('min("startedAt") filter (where "errorCode" is not null)')} || ' ago.' from "JobRun" where "name" = 'mail')`,
    items: 2,
  },
  {
    is: 'one job holds a limit that three share',
    put: async () => {
      await worker('w1')
      await sql(
        `insert into "JobLimit" ("name", "global", "jobs", "changedPlace") values ('crm', 10, '{pay,report,mail}', 9)`,
      )
      await claim('report', 9, '6 minutes', '{crm}')
      await claim('mail', 1, '6 minutes', '{crm}')
      for (const [name, minutes] of [
        ['pay', 9],
        ['mail', 8],
        ['report', 7],
      ] as const)
        await work(name, 20, `${minutes} minutes`)
    },
    kind: 'backlog',
    stage: 'waiting',
    says: `(select 'pay, mail and report: ' || count(*) || ' pieces of work wait, the oldest for ' || ${min('min("dueAt")')} || ', since limit crm is full: report has 9 of its 10 slots.' from "JobWork")`,
  },
  {
    is: 'a partner never answers, and holds all slots of a job',
    put: async () => {
      await worker('w1')
      await runs('report', 20, '30 minutes')
      await claim('report', 4, '12 minutes')
      await work('report', 4, '12 minutes')
    },
    kind: 'backlog',
    stage: 'waiting',
    says: `(select 'report: ' || count(*) || ' pieces of work wait, the oldest for ' || ${min('min("dueAt")')} || ', and none has started in the last 5 min; '
      || (select cardinality("runIds") || ' runs are under way, the oldest for ' || ${min('"startedAt"')} || '.' from "JobClaim") from "JobWork")`,
  },
  {
    is: 'a service has refused more for a quarter of an hour',
    put: async () => {
      await worker('w1')
      await sql(
        `insert into "JobLimit" ("name", "parkedUntil", "parkedAt", "parkReason") values ('job:pay', now() + interval '20 minutes', now() - interval '16 minutes', '429')`,
      )
      await work('pay', 3, '16 minutes')
    },
    kind: 'paused',
    stage: 'waiting',
    says: `(select 'pay: ' || count(*) || ' pieces of work wait for a service that has refused more, the oldest for 16 min.' from "JobWork")`,
  },
  {
    is: 'the schema of a job refuses the payloads of schedules',
    put: async () => {
      await worker('w1')
      await sql(
        `insert into "JobSchedule" ("name", "key", "cron", "timeZone", "cursor", "refusals", "pausedAt", "pauseReason")
         select 'pay', 'tenant-' || n, '0 9 * * *', 'UTC', now(), 3, now() - n * interval '3 hours', 'the payload does not fit: secret' from generate_series(1, 2) n`,
      )
    },
    kind: 'schedulesRefused',
    stage: 'waiting',
    says: `(select 'The schema of pay has refused the payload of ' || count(*) || ' schedules, which are paused for that: ' || min("key") filter (where "pausedAt" < now() - interval '5 hours') || ' for 6 h.' from "JobSchedule")`,
  },
  {
    is: 'more runs are under way than a limit allows',
    put: async () => {
      await worker('w1')
      await sql(
        `insert into "JobLimit" ("name", "global", "jobs", "changedPlace") values ('crm', 2, '{pay}', 0)`,
      )
      await claim('pay', 3, '1 second', '{crm}')
    },
    kind: 'limitExceeded',
    stage: 'losing',
    says: `(select 'Limit crm has ' || cardinality("runIds") || ' runs where 2 may be.' from "JobClaim")`,
  },
]

const judge = async () => {
  const now = new Date()
  return { now, ...(await judgeJobs(runtime.reader, jobs, now)) }
}

it('counts a worker as silent, here as on its page, once it has given no sign for a minute', async () => {
  await worker('w1', { signAgo: '50 seconds' })
  await worker('w2', { signAgo: '70 seconds' })
  const { now, problems, workers } = await judge()
  expect(problems).toMatchObject([{ kind: 'silent', workerId: 'w2' }])
  expect(workers.filter((one) => isWorkerSilent(one, now)).map(({ id }) => id)).toEqual(['w2'])
})

describe('of a night, the first item says what is true', () => {
  it.each(NIGHTS)('when $is', async ({ put, kind, stage, says, note, items = 1 }) => {
    await put()
    await runtime.rows('analyze "JobRun", "JobWork", "JobDeadLetter"')
    const { now, problems } = await judge()
    const [first] = problems
    const [bySql] = await sql(
      `select ${says} as text, ${note ?? 'null::text'} as note${/\$1/.test(says) ? '' : ', $1::timestamptz as now'}`,
      now,
    )
    expect({
      kind: first?.kind,
      stage: first?.stage,
      text: first?.text,
      ...(note && { note: first?.note }),
    }).toEqual({
      kind,
      stage,
      text: bySql!['text'],
      ...(note && { note: bySql!['note'] }),
    })
    expect(problems.map((one) => one.text)).toHaveLength(items)
    expect(JSON.stringify(problems)).not.toContain('secret')
  })
})
