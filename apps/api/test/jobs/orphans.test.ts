// Not quick: builds an API for each catalogue that it draws.
import { measureQueue } from '@roundsman/engine/client'
import { defineJob } from '@roundsman/engine'
import type { ConsoleOverview, ConsoleQueue } from '@roundsman/fastify/contract'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { buildApp } from '../../src/app.ts'
import { createTestApi, JWT_SECRET, type TestApi } from '../createTestApi.ts'
import { emptyTables } from '../emptyTables.ts'
import { QUEUE } from '../listQueue.ts'

const NAMES = ['import', 'export', 'mail', 'report'] as const
const jobs = NAMES.map((name) => defineJob({ name, description: '' }))

let api: TestApi
beforeAll(async () => {
  api = await createTestApi()
})
afterAll(() => api.close())

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
      insert into pgboss.job (name, data, state, start_after, started_on, completed_on)
      select ${name}::text, '{"trigger": "queue"}', row.state::pgboss.job_state, now() + row.s * interval '1 second', now(), now()
      from (values ('created', -9, ${due}::int), ('retry', 9, ${later}::int), ('active', -9, ${active}::int), ('failed', -9, ${deadLetters}::int))
        row(state, s, n) cross join generate_series(1, row.n)`
    if (isPaused)
      await api.jobsClient.pauseQueue(null, name, { actor: 'ada@example.com', reason: 'x' })
  }
  if (!isAnyAlive) return
  const taken = [...all].filter(([, { isTaken }]) => isTaken).map(([name]) => [name, 1])
  await api.prisma.$executeRaw`
    insert into "JobWorker" ("id", "liveness", "lanes", "readsStarts")
    values ('w', 'heartbeat', ${JSON.stringify(Object.fromEntries(taken))}::jsonb, true)`
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
      health: await get<{ problems?: { kind: string }[] }>('/health/jobs'),
      measures: await measureQueue(api.jobsClient.reader, catalogue),
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
        select name, count(*) filter (where state in ('created', 'retry'))::int as waiting,
               count(*) filter (where state = 'created')::int as ready,
               count(*) filter (where state = 'retry')::int as delayed,
               count(*) filter (where state = 'active')::int as active,
               count(*) filter (where state = 'failed')::int as "deadLetters"
        from (select unnest(${NAMES}::text[]) as name) all_names left join pgboss.job using (name) group by name order by name`
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
      expect(queue.history.at(-1)!.ready).toBe(listed.reduce((sum, { ready }) => sum + ready, 0))
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
            item.kind === 'deadLetters' ? [{ name: item.name, count: item.count }] : [],
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
      const of = (items: readonly { kind: string }[]) =>
        items.filter(({ kind }) => kind === 'orphaned')
      expect(of(overview.attention)).toEqual(
        orphans.map((orphan) => ({ kind: 'orphaned', ...orphan, isCut: false })),
      )
      expect(of(health.problems ?? [])).toEqual(
        orphans.map((orphan) => ({ kind: 'orphaned', ...orphan })),
      )
    }),
    { numRuns: 12 },
  )
})
