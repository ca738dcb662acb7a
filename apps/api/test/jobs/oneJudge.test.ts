// Not quick: starts a watcher of alerts for each history that it draws.
import { defineJob } from '@roundsman/engine'
import { createAlertWatcher } from '@roundsman/engine/alerts'
import { listProblems } from '@roundsman/engine/client'
import { emptyTables, openForTests, QUEUE, waitFor, useLivingWorkers } from '@roundsman/testing'
import type { ConsoleOverview } from '@roundsman/admin/contract'
import fc from 'fast-check'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { buildApp } from '../../src/app.ts'
import { createTestApi, JWT_SECRET } from '../createTestApi.ts'

const NAMES = ['import', 'export', 'mail'] as const
const jobs = NAMES.map((name) => defineJob({ name, timeoutMs: 90_000 }))

const api = openForTests(createTestApi)
useLivingWorkers(() => api.databaseUrl, 'w')

/** What became of a job within the last hour, and what the queue holds of it. */
const history = fc.record({
  /** From the first to the last. */
  runs: fc.array(fc.constantFrom(null, 'broken', 'cancelled'), { maxLength: 25 }),
  /** Likewise. */
  waitingMinutes: fc.option(fc.nat({ max: 3 })),
  deadLetters: fc.nat({ max: 2 }),
  /** For how many minutes a run has been under way, and ten seconds. */
  runningMinutes: fc.option(fc.nat({ max: 3 })),
})

it('the console, alerts and metrics name the same, of whatever history', async () => {
  await fc.assert(
    fc.asyncProperty(fc.tuple(history, history, history), fc.boolean(), async (of, isAnyAlive) => {
      await emptyTables(
        api.prisma,
        `"JobRun", "JobClaim", "JobWorker", "JobThrottle", "JobAlert", "JobAlertDelivery", ${QUEUE}`,
      )
      for (const [at, one] of of.entries()) await write(NAMES[at]!, one)
      if (isAnyAlive)
        await api.prisma.$executeRaw`
          insert into "JobWorker" ("id", "lanes") values ('w', '{"mail": 1, "import": 1}')`
      const { problems } = await listProblems(api.jobsClient.reader, jobs, new Date())
      const keysOf = (items: readonly { kind: string; jobs: readonly string[] }[]) =>
        items.map(({ kind, jobs: its }) => `${kind} ${its[0] ?? ''}`).toSorted()
      const shown = (await readOverview()).attention
      expect(shown.map(({ text }) => text)).toEqual(problems.map(({ text }) => text))
      const told = await readAlerts()
      expect(told.map(({ kind, name }) => `${kind} ${name}`).toSorted()).toEqual([
        ...new Set(keysOf(problems.filter(({ stage }) => stage !== 'over'))),
      ])
    }),
    { numRuns: 12 },
  )
})

async function write(
  name: string,
  {
    runs,
    waitingMinutes,
    deadLetters,
    runningMinutes,
  }: typeof history extends fc.Arbitrary<infer One> ? One : never,
): Promise<void> {
  await api.prisma.$executeRaw`
    insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "errorCode")
    select gen_random_uuid(), ${name}, (case when code is null then 'success' else 'failed' end)::"JobRunStatus", 'queue', 'w',
           at, at, code
    from unnest(${runs}::text[]) with ordinality run(code, nth)
      cross join lateral (select now() - interval '59 minutes' + nth * interval '1 minute' as at) instant`
  await api.prisma.$executeRaw`
    insert into "JobDeadLetter" ("id", "name", "bytes", "payload", "errorCode", "errorMessage")
    select gen_random_uuid(), ${name}, 2, '{}', 'broken', '' from generate_series(1, ${deadLetters}::int)`
  if (waitingMinutes !== null)
    await api.prisma.$executeRaw`
      insert into "JobWork" ("id", "name", "dueAt", "bytes", "payload")
      values (gen_random_uuid(), ${name}, now() - (${waitingMinutes}::int * 60 + 10) * interval '1 second', 2, '{}')`
  if (runningMinutes !== null)
    await api.prisma.$executeRaw`
      insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
      values (gen_random_uuid(), ${name}, 'w', now() - (${runningMinutes}::int * 60 + 10) * interval '1 second', now() + interval '1 hour',
              array[gen_random_uuid()], array[now()])`
}

async function readOverview(): Promise<ConsoleOverview> {
  const app = buildApp({
    prisma: api.prisma,
    jobsClient: api.jobsClient,
    jobs,
    now: () => new Date(),
    jwtSecret: JWT_SECRET,
  })
  try {
    await app.ready()
    const headers = { authorization: `Bearer ${app.issueToken(api.userIds.admin)}` }
    return (await app.inject({ url: '/api/console/overview', headers })).json<ConsoleOverview>()
  } finally {
    await app.close()
  }
}

/** What a watcher raises that waits for nothing. */
async function readAlerts(): Promise<{ kind: string; name: string }[]> {
  const watcher = createAlertWatcher({
    databaseUrl: api.databaseUrl,
    schema: 'public',
    jobs,
    channels: [],
    limits: { noWorkerMs: 0, queueGrowthMs: 0, failureOfOneMs: 0 },
    log: pino({ level: 'silent' }),
  })
  watcher.start()
  try {
    await waitFor(async () => {
      const [round] = await api.prisma.$queryRaw<object[]>`
        select from "JobThrottle" where "name" = 'alert round'`
      return round !== undefined
    })
  } finally {
    await watcher.stop()
  }
  return await api.prisma.$queryRaw`
    select distinct "kind", "name" from "JobAlert" where "raisedAt" is not null`
}
