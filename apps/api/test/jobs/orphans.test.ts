// Not quick: builds an API for each catalogue that it draws.
import { getQueueStats } from '@roundsman/engine/client'
import { defineJob } from '@roundsman/engine'
import type { ConsoleOverview, ConsoleQueue } from '@roundsman/admin/contract'
import fc from 'fast-check'
import { emptyTables, openForTests, QUEUE, useLivingWorkers } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { buildApp } from '../../src/app.ts'
import { createTestApi, JWT_SECRET } from '../createTestApi.ts'

const NAMES = ['import', 'export', 'mail', 'report'] as const
const jobs = NAMES.map((name) => defineJob({ name }))

const api = openForTests(createTestApi)
useLivingWorkers(() => api.databaseUrl, 'w')

/** What the queue holds of a job, and who knows the job. */
interface Held {
  isInCatalogue: boolean
  /** A worker that lives, perhaps of another version, takes its work. */
  isTaken: boolean
  isPaused: boolean
  due: number
  later: number
  active: number
  deadLetters: number
}

const few = fc.nat({ max: 3 })
const held: fc.Arbitrary<Held> = fc.record({
  isInCatalogue: fc.boolean(),
  isTaken: fc.boolean(),
  isPaused: fc.boolean(),
  due: few,
  later: few,
  active: few,
  deadLetters: few,
})

async function fill(all: ReadonlyMap<string, Held>, isAnyAlive: boolean): Promise<void> {
  await emptyTables(api.prisma, `${QUEUE}, "JobQueue", "JobWorker", "JobAction"`)
  for (const [name, { isPaused, due, later, active, deadLetters }] of all) {
    await api.prisma.$executeRaw`
      insert into "JobWork" ("id", "name", "bytes", "payload") select gen_random_uuid(), ${name}, 2, '{}' from generate_series(1, ${due}::int)`
    await api.prisma.$executeRaw`
      insert into "JobWork" ("id", "name", "place", "dueAt", "bytes", "payload")
      select gen_random_uuid(), ${name}, null, now() + interval '9 s', 2, '{}' from generate_series(1, ${later}::int)`
    await api.prisma.$executeRaw`
      insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
      select gen_random_uuid(), ${name}, 'w', now(), now() + interval '1 hour', array_agg(gen_random_uuid()), array_agg(now())
      from generate_series(1, ${active}::int) having count(*) > 0`
    await api.prisma.$executeRaw`
      insert into "JobDeadLetter" ("id", "name", "bytes", "payload", "errorCode", "errorMessage")
      select gen_random_uuid(), ${name}, 2, '{}', 'gone', '' from generate_series(1, ${deadLetters}::int)`
    if (isPaused) await api.jobsClient.pauseQueue(name, { actor: 'ada@example.com', reason: 'x' })
  }
  if (!isAnyAlive) return
  const taken = [...all].filter(([, { isTaken }]) => isTaken).map(([name]) => [name, 1])
  await api.prisma.$executeRaw`
    insert into "JobWorker" ("id", "lanes")
    values ('w', ${JSON.stringify(Object.fromEntries(taken))}::jsonb)`
}

/** Asks an API whose catalogue has these jobs. */
async function ask(catalogue: readonly string[]) {
  const app = buildApp({
    prisma: api.prisma,
    jobsClient: api.jobsClient,
    jobs: jobs.filter(({ name }) => catalogue.includes(name)),
    jwtSecret: JWT_SECRET,
    readinessTimeoutMs: 10_000,
  })
  try {
    await app.ready()
    const headers = { authorization: `Bearer ${app.issueToken(api.userIds.admin)}` }
    const get = async <Answer>(url: string) => (await app.inject({ url, headers })).json<Answer>()
    return {
      queue: await get<ConsoleQueue>('/api/console/queue'),
      overview: await get<ConsoleOverview>('/api/console/overview'),
      health: await get<{ problems?: { kind: string; jobs: string[] }[] }>('/health/jobs'),
      measures: await getQueueStats(api.jobsClient.reader, catalogue),
    }
  } finally {
    await app.close()
  }
}

interface Counted {
  name: string
  waiting: number
  ready: number
  delayed: number
  active: number
  deadLetters: number
}

const byName = <Row extends { name: string }>(rows: readonly Row[]) =>
  rows.toSorted((one, other) => one.name.localeCompare(other.name))

it('counts the work of jobs that have left the catalogue wherever it counts work, and says that nobody takes it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.tuple(held, held, held, held), fc.boolean(), async (drawn, isAnyAlive) => {
      const all = new Map(NAMES.map((name, at) => [name as string, drawn[at]!]))
      await fill(all, isAnyAlive)
      const catalogue = NAMES.filter((name) => all.get(name)!.isInCatalogue)
      const { queue, overview, health, measures } = await ask(catalogue)

      // As plain SQL has it.
      const rows = await api.prisma.$queryRaw<Counted[]>`
        select name, (select count(*) from "JobWork" work where work."name" = one.name)::int as waiting,
               (select count(*) from "JobWork" work where work."name" = one.name and "dueAt" <= now())::int as ready,
               (select count(*) from "JobWork" work where work."name" = one.name and "dueAt" > now())::int as delayed,
               (select coalesce(sum(cardinality("runIds")), 0) from "JobClaim" claim where claim."name" = one.name)::int as active,
               (select count(*) from "JobDeadLetter" letter where letter."name" = one.name)::int as "deadLetters"
        from unnest(${NAMES}::text[]) one(name) order by name`
      const isListed = ({ name, ...counts }: Counted) => {
        const { isInCatalogue, isPaused } = all.get(name)!
        return isInCatalogue || isPaused || Object.values(counts).some((count) => count > 0)
      }
      const listed = rows.filter(isListed)
      expect(
        byName(queue.jobs).map(({ name, waiting, delayed, active, deadLetters }) => ({
          name,
          waiting,
          ready: waiting - delayed,
          delayed,
          active,
          deadLetters,
        })),
      ).toEqual(listed)
      expect(measures.map(({ name, state, count }) => ({ name, state, count }))).toEqual(
        expect.arrayContaining(
          listed.flatMap(({ name, ready, delayed, active, deadLetters }) => [
            { name, state: 'ready', count: ready },
            { name, state: 'delayed', count: delayed },
            { name, state: 'active', count: active },
            { name, state: 'deadLetter', count: deadLetters },
          ]),
        ),
      )
      expect(measures).toHaveLength(4 * listed.length)
      expect(
        byName(
          overview.attention.flatMap((item) =>
            item.kind === 'deadLetters' ? [{ name: item.jobs[0]!, count: item.count }] : [],
          ),
        ),
      ).toEqual(
        rows.flatMap(({ name, deadLetters: count }) => (count === 0 ? [] : [{ name, count }])),
      )

      const isOrphaned = (name: string) => {
        const { isInCatalogue, isTaken } = all.get(name)!
        return !isInCatalogue && !(isAnyAlive && isTaken)
      }
      expect(byName(queue.jobs).flatMap((job) => (job.isOrphaned ? [job.name] : []))).toEqual(
        listed.flatMap(({ name }) => (isOrphaned(name) ? [name] : [])),
      )
      const orphans = rows.flatMap(({ name, waiting }) =>
        isAnyAlive && waiting > 0 && isOrphaned(name) && !all.get(name)!.isPaused
          ? [{ name, waiting }]
          : [],
      )
      // They are one problem: a version is missing.
      const of = (items: readonly { kind: string; jobs: readonly string[] }[]) =>
        items.filter(
          ({ kind, jobs: its }) =>
            kind === 'noWorker' && its.some((name) => orphans.some((one) => one.name === name)),
        )
      const [told, ...more] = of(overview.attention)
      expect(more).toEqual([])
      expect(told?.jobs.toSorted() ?? []).toEqual(orphans.map(({ name }) => name).toSorted())
      expect((told as ConsoleOverview['attention'][number] | undefined)?.count ?? 0).toBe(
        orphans.reduce((sum, { waiting }) => sum + waiting, 0),
      )
      expect(
        of(health.problems ?? [])
          .flatMap(({ jobs: its }) => its)
          .toSorted(),
      ).toEqual(orphans.map(({ name }) => name).toSorted())
    }),
    { numRuns: 12 },
  )
})
