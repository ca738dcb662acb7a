import { openForTests, useLivingWorkers } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { toNotice } from '../../src/alerts/alert.ts'
import { DEFAULT_LIMITS, findCauses } from '../../src/alerts/findCauses.ts'
import { defineJob } from '../../src/index.ts'
import { createUsualFailures } from '../../src/read/createUsualFailures.ts'
import { getJobHealth } from '../../src/read/getJobHealth.ts'
import { measureDuration } from '../../src/read/countRuns.ts'
import { listProblems } from '../../src/read/listProblems.ts'
import { measureBacklog } from '../../src/read/measureBacklog.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const importFeed = defineJob({ name: 'importFeed' })
const runtime = useTestRuntime({ cleared: ['JobQueue', 'JobWorker'] })
useLivingWorkers(() => runtime.url, 'w', 'x1', 'x2', 'x3')
const opened = openForTests(() => openTestQueue(runtime, [importFeed]))

const problemsOf = async (kind: string) => {
  const { problems } = await listProblems(runtime.reader, [importFeed], new Date())
  return problems.filter((problem) => problem.kind === kind)
}

/** What people are told, without instants and ids. */
const textsOf = async (kind: string) => {
  const all = [importFeed]
  const usual = createUsualFailures()
  const { causes } = await findCauses(runtime.reader, all, DEFAULT_LIMITS, [], new Date(), usual)
  return causes
    .filter((cause) => cause.kind === kind)
    .map((cause) => {
      const row = { ...cause, id: 'a', startedAt: '', endedAt: null }
      return toNotice(row, 'began', undefined).text.replaceAll(/\d{4}-\S+Z/g, '<at>')
    })
}

describe('a paused queue that somebody has forgotten', () => {
  const pause = async (ago: string) => {
    const by = { actor: 'max@example.com', reason: 'The partner moves' }
    await opened.client.pauseQueue('importFeed', by)
    const [row] = await runtime.rows<{ at: Date }>(
      `update "JobQueue" set "pausedAt" = now() - $1::interval returning "pausedAt" as at`,
      [ago],
    )
    return row!.at.toISOString()
  }
  const wait = async (count: number, ago: string) =>
    await runtime.rows(
      `insert into "JobWork" ("id", "name", "dueAt", "bytes", "payload")
       select gen_random_uuid(), 'importFeed', now() - $2::interval, 2, '{}' from generate_series(1, $1::int)`,
      [count, ago],
    )
  beforeEach(async () => {
    await runtime.rows(`insert into "JobWorker" ("id", "lanes") values ('w', '{"importFeed": 1}')`)
  })

  it('is told with who, why and what waits, once work has waited for an hour of the pause', async () => {
    const since = await pause('61 minutes')
    await wait(431, '61 minutes')
    await wait(20, '-1 hour')
    await runtime.rows(`update "JobWork" set "place" = null where "dueAt" > now()`)
    expect(await problemsOf('pausedQueue')).toEqual([
      {
        kind: 'pausedQueue',
        name: 'importFeed',
        since,
        by: 'max@example.com',
        reason: 'The partner moves',
        waiting: 431,
        isCut: false,
      },
    ])
    expect(await textsOf('pausedQueue')).toEqual([
      'the queue of importFeed is paused since <at> by max@example.com: 431 pieces of work wait',
    ])
  })

  it('is not told while nothing has waited that long, or the pause is younger', async () => {
    await pause('2 hours')
    await wait(3, '59 minutes')
    expect(await problemsOf('pausedQueue')).toEqual([])
    await runtime.rows(`update "JobQueue" set "pausedAt" = now() - interval '59 minutes'`)
    await runtime.rows(`update "JobWork" set "dueAt" = now() - interval '2 hours'`)
    expect(await problemsOf('pausedQueue')).toEqual([])
  })

  it('is told after a day though nothing waits, and always named to monitors', async () => {
    await pause('23 hours')
    expect(await problemsOf('pausedQueue')).toEqual([])
    await runtime.rows(`update "JobQueue" set "pausedAt" = now() - interval '25 hours'`)
    expect(await problemsOf('pausedQueue')).toMatchObject([{ name: 'importFeed', waiting: 0 }])
    const health = await getJobHealth(runtime.reader, [importFeed], new Date())
    expect(health).toEqual({ problems: [], paused: [], pausedQueues: ['importFeed'] })
  })
})

/** Inserts runs that ended `count` times so, a second apart, the last of them `ago`. They took 18 ms, or a second if they succeeded. */
const insertRuns = async (
  count: number,
  ago: string,
  { code, message = '', worker = 'w' }: { code?: string; message?: string; worker?: string } = {},
) =>
  await runtime.rows(
    `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "errorCode", "details")
     select gen_random_uuid(), 'importFeed', (case when $3::text is null then 'success' else 'failed' end)::"JobRunStatus", 'queue', $5,
            at, at + case when $3::text is null then interval '1 second' else interval '18 ms' end, $3,
            case when $3::text is not null then jsonb_build_object('error', jsonb_build_object('message', $4::text)) end
     from generate_series(0, $1::int - 1) n cross join lateral (select now() - $2::interval - n * interval '1 second' as at) started`,
    [count, ago, code ?? null, message, worker],
  )

describe('work that was not started in time', () => {
  const LATE = { code: 'expired', message: 'Not started: it was to be started by then' }

  it('is told with how much and since when, and says nothing of how long runs take or how fast', async () => {
    await insertRuns(595, '1 minute', LATE)
    await insertRuns(1, '50 minutes', LATE)
    await insertRuns(3, '2 hours', LATE)
    await insertRuns(227, '20 minutes')
    await insertRuns(1, '30 minutes', { code: 'expired', message: 'The run went on for too long' })
    const [first] = await runtime.rows<{ at: Date }>(
      `select max("startedAt") as at from "JobRun" where "startedAt" < now() - interval '49 minutes'
         and "startedAt" > now() - interval '1 hour'`,
    )
    const since = first!.at.toISOString()
    expect(await problemsOf('expired')).toEqual([
      {
        kind: 'expired',
        name: 'importFeed',
        expired: 596,
        runs: 824,
        isCut: false,
        since,
        usual: null,
      },
    ])
    expect(await textsOf('expired')).toEqual([
      'importFeed starts too late: 596 of its last 824 runs were not started in time, since <at>',
    ])
    expect(await measureDuration(runtime.reader, 'importFeed')).toMatchObject({
      p50Ms: 1_000,
      runs: 228,
    })
    await runtime.rows(
      `insert into "JobWork" ("id", "name", "dueAt", "bytes", "payload")
       values (gen_random_uuid(), 'importFeed', now() - interval '1 hour', 2, '{}')`,
    )
    const [backlog] = await measureBacklog(runtime.reader, ['importFeed'])
    expect(backlog!.takenPerSecond).toBeCloseTo(228 / 3_600, 4)
  })

  it('is not told of one, of few among many, or of the day before', async () => {
    await insertRuns(1, '1 minute', LATE)
    await insertRuns(50, '61 minutes', LATE)
    expect(await problemsOf('expired')).toEqual([])
    await insertRuns(1, '2 minutes', LATE)
    expect(await problemsOf('expired')).toMatchObject([{ expired: 2, runs: 2 }])
    await insertRuns(19, '3 minutes')
    expect(await problemsOf('expired')).toEqual([])
  })
})

describe('work that is not started in time as usual', () => {
  const LATE = { code: 'expired', message: 'Not started: it was to be started by then' }

  it('is no news, and more than usual is', async () => {
    for (const hoursAgo of [24, 31, 38]) {
      await insertRuns(21, `${hoursAgo} hours 30 minutes`)
      await insertRuns(9, `${hoursAgo} hours 20 minutes`, LATE)
    }
    await insertRuns(70, '30 minutes')
    await insertRuns(30, '20 minutes', LATE)
    expect(await problemsOf('expired')).toEqual([])
    await insertRuns(60, '10 minutes', LATE)
    const usual = { runs: 90, failed: 27 }
    expect(await problemsOf('expired')).toMatchObject([{ expired: 90, runs: 160, usual }])
    expect(await textsOf('expired')).toEqual([
      'importFeed starts too late: 90 of its last 160 runs were not started in time, usually 30 %, since <at>',
    ])
  })
})

describe('a worker whose clock is 2 minutes behind', () => {
  /** Runs that the database has seen a moment after they started, by the worker's clock. */
  const insertSeen = async (worker: string, behind: readonly string[]) =>
    await runtime.rows(
      `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "createdAt")
       select gen_random_uuid(), 'importFeed', 'success', 'queue', $1, seen - by, seen - by, seen
       from unnest($2::interval[]) with ordinality of(by, nth)
       cross join lateral (select now() - nth * interval '1 minute' as seen) instant`,
      [worker, behind],
    )

  it('is told with its host, and how far', async () => {
    await insertSeen('worker-a:17:0', ['10 ms', '0.9 seconds', '20 ms'])
    // What is held up on its way is late by something else each time.
    await insertSeen('worker-b:17:0', ['12 seconds', '40 seconds', '20 seconds'])
    await insertSeen('worker-c:17:0', ['120.5 seconds', '120 seconds'])
    expect(await problemsOf('clock')).toEqual([])
    const seen = new Date(Date.now() - 1_000)
    await runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "createdAt", "expiresAt", "runIds", "enqueuedAts")
       values (gen_random_uuid(), 'importFeed', 'worker-c:17:0', $1::timestamptz - interval '2 minutes', $1::timestamptz,
               now() + interval '1 hour', array[gen_random_uuid()], array[now()])`,
      [seen],
    )
    expect(await problemsOf('clock')).toEqual([
      { kind: 'clock', host: 'worker-c', aheadMs: -120_000, lastAt: seen.toISOString() },
    ])
    expect(await textsOf('clock')).toEqual([
      "the clock of worker-c is behind the database's: by 120 s for a run that started at <at>",
    ])
  })
})

describe('a worker whose clock is 37 minutes ahead', () => {
  const turnAhead = async (by: string) =>
    await runtime.rows(
      `update "JobRun" set "createdAt" = "startedAt", "startedAt" = "startedAt" + $1::interval, "endedAt" = "endedAt" + $1::interval
       where "workerId" like 'worker-c:%'`,
      [by],
    )

  it('is told with its host, and how far', async () => {
    await insertRuns(3, '1 minute', { worker: 'worker-c:17:0' })
    await insertRuns(3, '1 minute', { worker: 'worker-a:17:0' })
    const [last] = await runtime.rows<{ at: Date }>(
      `select max("startedAt") as at from "JobRun" where "workerId" like 'worker-c:%'`,
    )
    await turnAhead('69 seconds')
    expect(await problemsOf('clock')).toEqual([])
    await turnAhead('37 minutes')
    const [clock] = await problemsOf('clock')
    expect(clock).toEqual({
      kind: 'clock',
      host: 'worker-c',
      aheadMs: 37 * 60_000,
      lastAt: new Date(last!.at.getTime() + 69_000).toISOString(),
    })
    expect(await textsOf('clock')).toEqual([
      "the clock of worker-c is ahead of the database's: by 2200 s for a run that started at <at>",
    ])
  })

  it('does not keep a job failing that has succeeded hundreds of times since', async () => {
    await insertRuns(100, '20 minutes', { code: 'broken', worker: 'worker-c:17:0' })
    await turnAhead('37 minutes')
    expect(await problemsOf('failing')).toMatchObject([{ recent: { runs: 100, failed: 100 } }])
    await insertRuns(300, '1 second', { worker: 'worker-a:17:0' })
    expect(await problemsOf('failing')).toEqual([])
    const [recovered] = await problemsOf('recovered')
    expect(recovered).toMatchObject({ recent: { runs: 400, failed: 100, succeededSince: 300 } })
    expect(recovered).toMatchObject({
      since: expect.toSatisfy((at) => Date.parse(at) < Date.now()),
    })
  })

  it('is not taken for the instant since which a job fails', async () => {
    await insertRuns(50, '2 hours', { worker: 'worker-a:17:0' })
    await insertRuns(9, '20 minutes', { code: 'broken', worker: 'worker-c:17:0' })
    const [sql] = await runtime.rows<{ at: Date }>(
      `select min("startedAt") as at from "JobRun" where "errorCode" = 'broken'`,
    )
    await turnAhead('37 minutes')
    expect(await problemsOf('failing')).toMatchObject([
      { first: { at: sql!.at.toISOString() }, recent: { from: sql!.at.toISOString() } },
    ])
  })
})

it('says on which host alone a job fails, and not where another fails too or none has succeeded', async () => {
  await insertRuns(12, '2 minutes', { code: 'broken', worker: 'worker-b:17:0' })
  expect(await problemsOf('failing')).toMatchObject([{ onHost: null }])
  await insertRuns(12, '4 minutes', { worker: 'vm:4:1' })
  expect(await problemsOf('failing')).toMatchObject([
    { onHost: { host: 'worker-b', others: ['vm'] } },
  ])
  expect(await textsOf('failing')).toEqual([
    'importFeed fails: 12 of its last 24 runs, most often with broken, all on worker-b, since <at>',
  ])
  await insertRuns(3, '4 minutes', { worker: 'worker-c:4:1' })
  await insertRuns(3, '3 minutes', { code: 'broken', worker: 'vm:4:1' })
  expect(await problemsOf('failing')).toMatchObject([{ onHost: null }])
})

/** Inserts runs of the last minutes that are about something. */
const insertAbout = async (
  count: number,
  { code, label, shown }: { code?: string; label?: string; shown?: Record<string, string> },
) =>
  await runtime.rows(
    `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "errorCode", "label", "shown")
     select gen_random_uuid(), 'importFeed', (case when $2::text is null then 'success' else 'failed' end)::"JobRunStatus", 'queue',
            'w', at, at, $2, coalesce($3, 'run ' || n), $4
     from generate_series(1, $1::int) n cross join lateral (select now() - n * interval '1 second' as at) started`,
    [count, code ?? null, label ?? null, shown ?? null],
  )

describe('failures that have a label or a shown field in common', () => {
  const groupOf = async () =>
    (await problemsOf('failing')).map((one) => 'ofGroup' in one && one.ofGroup)

  it('are told with it, where it is so of nearly all and others run well', async () => {
    await insertAbout(40, { code: 'refused', label: 'Tenant 17' })
    // Nobody knows how others would run.
    expect(await groupOf()).toEqual([null])
    await insertAbout(60, {})
    expect(await groupOf()).toEqual([{ field: null, value: 'Tenant 17', failed: 40, of: 40 }])
    expect(await textsOf('failing')).toEqual([
      'importFeed fails: 40 of its last 100 runs, most often with refused, all 40 with label Tenant 17, since <at>',
    ])
    await insertAbout(1, { code: 'refused' })
    expect(await groupOf()).toEqual([{ field: null, value: 'Tenant 17', failed: 40, of: 41 }])
    await insertAbout(3, { code: 'refused' })
    expect(await groupOf()).toEqual([null])
  })

  it.each([
    ['other failures are more than a few', { of17: 80, well: 400, failed: 15 }],
    ['of the few others some fail too', { of17: 100, well: 3, failed: 2 }],
  ])('are not where %s', async (_, { of17, well, failed }) => {
    await insertAbout(of17, { code: 'refused', label: 'Tenant 17' })
    await insertAbout(well, {})
    await insertAbout(failed, { code: 'refused' })
    expect(await groupOf()).toEqual([null])
  })

  it('are told with the field that the job shows, and not with what the successes have as well', async () => {
    await insertAbout(40, { code: 'refused', shown: { region: 'eu', tenant: '17' } })
    await insertAbout(60, { shown: { region: 'eu', tenant: '3' } })
    expect(await groupOf()).toEqual([{ field: 'tenant', value: '17', failed: 40, of: 40 }])
    // Most of what there is fails, and three others say nothing.
    await runtime.rows(`delete from "JobRun" where "errorCode" is null`)
    await insertAbout(300, { shown: { region: 'eu', tenant: '17' } })
    await insertAbout(3, { shown: { region: 'eu', tenant: '3' } })
    expect(await groupOf()).toEqual([null])
  })
})

describe('a job of which all slots are held', () => {
  const held = async () => (await problemsOf('backlog')).map((one) => 'held' in one && one.held)
  const hold = (worker: string, minutesAgo: readonly number[]) =>
    runtime.column<string>(
      `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "createdAt", "expiresAt", "runIds", "enqueuedAts")
         select gen_random_uuid(), 'importFeed', $1, at, at, now() + interval '1 hour', array[gen_random_uuid()], array[at]
         from unnest($2::float8[]) ago cross join lateral (select now() - ago * interval '1 minute' as at) started
         returning "runIds"[1]::text as "id"`,
      [worker, minutesAgo],
    )

  it('is told with the oldest run, once none has come free for far longer than runs take', async () => {
    await insertRuns(50, '20 minutes')
    await runtime.rows(
      `insert into "JobWorker" ("id", "lanes")
       values ('x1', '{"importFeed": 3}'), ('x2', '{"importFeed": 1}'), ('x3', '{"other": 9}')`,
    )
    await runtime.rows(
      `insert into "JobWork" ("id", "name", "dueAt", "bytes", "payload")
       select gen_random_uuid(), 'importFeed', now() - interval '10 minutes', 2, '{}' from generate_series(1, 5)`,
    )
    const [, oldest] = await hold('x1', [11, 12, 5])
    // Four have started since the first waits.
    expect(await problemsOf('backlog')).toEqual([])
    await hold('x2', [0.5])
    expect(await problemsOf('backlog')).toEqual([])
    await runtime.rows(
      `update "JobClaim" set "startedAt" = "startedAt" - interval '3 minutes' where "workerId" = 'x2'`,
    )
    const [sql] = await runtime.rows<{ at: Date }>(`select min("startedAt") as at from "JobClaim"`)
    expect(await held()).toEqual([{ slots: 4, runId: oldest, since: sql!.at.toISOString() }])
    const [text] = await textsOf('backlog')
    expect(await problemsOf('backlog')).toMatchObject([{ takenPerSecond: 0, caughtUpInMs: null }])
    expect(text).toContain(`; all 4 slots are held, the oldest since <at> by run ${oldest}`)
    // One has come free.
    await runtime.rows(
      `delete from "JobClaim" where "workerId" = 'x1' and "startedAt" > now() - interval '6 minutes'`,
    )
    expect(await problemsOf('backlog')).toEqual([])
    // One of them is gone, and its claims are still there.
    await runtime.rows(`delete from "JobWorker" where "id" = 'x1'`)
    expect(await held()).toMatchObject([{ slots: 1 }])
  })
})

describe('a unique key that is held for unusually long', () => {
  const insertRan = async (count: number, waited: string) =>
    await runtime.rows(
      `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "workId")
       select gen_random_uuid(), 'importFeed', 'success', 'queue', 'w', at, at,
              overlay(overlay(gen_random_uuid()::text placing '7' from 15) placing
                left(hex, 8) || '-' || right(hex, 4) from 1 for 13)::uuid
       from generate_series(1, $1::int) n
         cross join lateral (select now() - n * interval '1 minute' as at) started
         cross join lateral (
           select lpad(to_hex((extract(epoch from at - $2::interval) * 1000)::bigint), 12, '0') as hex
         ) id`,
      [count, waited],
    )
  const enqueue = async (uniqueKey: string, startAfter: Date, enqueuedBy?: string) =>
    await opened.client.enqueueNow(
      importFeed,
      {},
      { uniqueKey, startAfter, ...(enqueuedBy && { enqueuedBy }) },
    )
  const days = (count: number) => new Date(Date.now() + count * 86_400_000)

  it('is told with its work, by whom, and until when', async () => {
    const far = new Date('2038-01-01T00:00:00Z')
    await enqueue('invoice 41', days(3))
    await enqueue('invoice 43', days(400), 'request 7f3a')
    const { workId } = await enqueue('invoice 42', days(0.01))
    await opened.client.postponeWork(
      { job: importFeed, ids: [workId] },
      { startAfter: far, actor: 'max@example.com', reason: 'Not yet' },
    )
    // Nobody knows what is usual.
    expect(await problemsOf('heldKey')).toEqual([])
    await insertRan(5, '1 minute')
    const [row] = await runtime.rows<{ at: Date }>(
      `select "enqueuedAt" as at from "JobWork" where "id" = $1::uuid`,
      [workId],
    )
    expect(await problemsOf('heldKey')).toEqual([
      {
        kind: 'heldKey',
        name: 'importFeed',
        workId,
        label: null,
        uniqueKey: 'invoice 42',
        until: far.toISOString(),
        since: row!.at.toISOString(),
        isPostponed: true,
        by: 'max@example.com',
        count: 2,
      },
    ])
    expect(await textsOf('heldKey')).toEqual([
      `the unique key invoice 42 of importFeed is held until <at> by work ${workId}, postponed by max@example.com: what is enqueued with it is left out`,
    ])
    await runtime.rows(`delete from "JobWork" where "id" = $1::uuid`, [workId])
    expect(await problemsOf('heldKey')).toMatchObject([
      { uniqueKey: 'invoice 43', isPostponed: false, by: 'request 7f3a', count: 1 },
    ])
  })

  it('is not told where work of the job usually waits for long, nor of what has no key or has lost it', async () => {
    await insertRan(20, '1 minute')
    await insertRan(1, '41 days')
    await enqueue('invoice 41', days(400))
    expect(await problemsOf('heldKey')).toEqual([])
    await enqueue('invoice 42', days(420))
    expect(await problemsOf('heldKey')).toMatchObject([{ uniqueKey: 'invoice 42' }])
    // So many wait for so long that this is how the job is used.
    const more = (count: number) =>
      opened.client.enqueueManyNow(
        importFeed,
        Array.from({ length: count }, (_, nth) => ({
          payload: {},
          options: { uniqueKey: `${count} ${nth}`, startAfter: days(500) },
        })),
      )
    await more(98)
    expect(await problemsOf('heldKey')).toMatchObject([{ count: 99 }])
    await more(1)
    expect(await problemsOf('heldKey')).toEqual([])
    await runtime.rows(`delete from "JobWork" where "uniqueKey" not like 'invoice%'`)
    await runtime.rows(`delete from "JobUnique" where "key" = 'invoice 42'`)
    expect(await problemsOf('heldKey')).toEqual([])
    await runtime.rows(
      `update "JobWork" set "uniqueKey" = null, "dueAt" = now() + interval '900 days'`,
    )
    expect(await problemsOf('heldKey')).toEqual([])
  })
})

describe('limits and keys', () => {
  const limit = (columns: string) =>
    runtime.rows(
      `insert into "JobLimit" ("name", "global", "perKey", "order", "jobs") values ${columns}`,
    )
  const hold = (key: string | null, count: number, limits = '{job:importFeed,crm}') =>
    runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "keys", "enqueuedAts", "limits", "place")
       select gen_random_uuid(), 'importFeed', 'w1', now(), 'infinity', array_agg(gen_random_uuid()), array_agg($1::text), array_agg(now()), $3::text[], nextval('"JobPlace"')
       from generate_series(1, $2::int)`,
      [key, count, limits],
    )
  beforeEach(() => runtime.clear('JobLimit', 'JobKey'))

  it('are told of where more runs go on than may, the shared one by its name', async () => {
    await limit(
      `('job:importFeed', 20, 2, 'fair', null), ('crm', 10, null, null, '{importFeed}'), ('erp', 1, null, null, '{importFeed}')`,
    )
    await hold(null, 5)
    await hold('tenant 1', 3)
    await hold('tenant 2', 4)
    const key = { kind: 'limitExceeded', name: 'importFeed', limit: null, key: 'tenant 2' }
    const crm = { kind: 'limitExceeded', name: '', limit: 'crm', key: null, running: 12, most: 10 }
    expect(await problemsOf('limitExceeded')).toEqual([crm, { ...key, running: 4, most: 2 }])
    const what = 'see who holds its slots with `roundsman limits list`, and report it as a defect'
    expect(await textsOf('limitExceeded')).toEqual([
      `limit crm has 12 runs where 10 may be: ${what}`,
      `limit of importFeed, key tenant 2, has 4 runs where 2 may be: ${what}`,
    ])
    // A limit that was lowered drains.
    await runtime.rows(`update "JobLimit" set "changedPlace" = nextval('"JobPlace"')`)
    expect(await problemsOf('limitExceeded')).toEqual([])
  })

  it('are told of where work waits behind a dead letter of its key', async () => {
    await limit(`('job:importFeed', null, 1, 'fifo', null)`)
    const put = async (table: string, id: number, key: string) =>
      await runtime.rows(
        `insert into "${table}" ("id", "name", "bytes", "key"${table === 'JobWork' ? '' : ', "errorCode", "errorMessage"'})
         values (('00000000-0000-4000-8000-00000000000' || $1::int)::uuid, 'importFeed', 2, $2${table === 'JobWork' ? '' : `, 'broken', ''`})`,
        [id, key],
      )
    // Before it, of another key, without a key: these are not held up.
    await put('JobWork', 1, 'a')
    await put('JobDeadLetter', 2, 'a')
    await put('JobDeadLetter', 2 + 1, '')
    await put('JobWork', 4, '')
    await put('JobWork', 5, 'b')
    expect(await problemsOf('keyBlocked')).toEqual([])
    await put('JobDeadLetter', 6, 'a')
    await put('JobWork', 7, 'a')
    await put('JobDeadLetter', 8, 'c')
    await put('JobWork', 9, 'c')
    await runtime.rows(
      `insert into "JobWork" ("id", "name", "bytes", "key") values ('00000000-0000-4000-8000-0000000000ff', 'importFeed', 2, 'a')`,
    )
    const blocked = { kind: 'keyBlocked', name: 'importFeed', key: 'a', waiting: 2, count: 2 }
    const workId = '00000000-0000-4000-8000-000000000002'
    expect(await problemsOf('keyBlocked')).toMatchObject([
      { ...blocked, workId, code: 'broken', isCut: false },
    ])
    expect(await textsOf('keyBlocked')).toEqual([
      `importFeed, key a: 2 pieces of work wait behind the dead letter ${workId} (broken) of <at>: retry or discard it; 2 keys wait so`,
    ])
    await runtime.rows(`update "JobLimit" set "order" = 'fair'`)
    expect(await problemsOf('keyBlocked')).toEqual([])
  })
})
