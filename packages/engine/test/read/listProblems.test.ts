import { openForTests } from '@roundsman/testing'
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
import { openTestRuntime } from '../openTestRuntime.ts'

const importFeed = defineJob({ name: 'importFeed' })
const runtime = openForTests(openTestRuntime)
const opened = openForTests(() => openTestQueue(runtime, [importFeed]))

beforeEach(() => runtime.clear('JobQueue', 'JobWorker'))

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
    await runtime.rows(
      `insert into "JobWorker" ("id", "liveness", "lanes") values ('w', 'heartbeat', '{"importFeed": 1}')`,
    )
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
      { kind: 'expired', name: 'importFeed', expired: 596, runs: 824, isCut: false, since },
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
    'importFeed fails: 12 of its last 24 runs, all on worker-b, since <at>',
  ])
  await insertRuns(3, '4 minutes', { worker: 'worker-c:4:1' })
  await insertRuns(3, '3 minutes', { code: 'broken', worker: 'vm:4:1' })
  expect(await problemsOf('failing')).toMatchObject([{ onHost: null }])
})
