// Not quick: starts a worker under each setting.
import { createDatabaseClient, type PrismaClient } from '@roundsman/db'
import { waitFor } from '@roundsman/testing'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createJobsClient, getWork } from '../../src/client.ts'
import { connectionProblem } from '../../src/database/connectionProblem.ts'
import { defineJob, nextTick, type RunContext, type TransactionOf } from '../../src/index.ts'
import { getJobHealth } from '../../src/judge/judgeJobs.ts'
import { createWorker } from '../../src/worker.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const sweep = defineJob({
  name: 'sweep',
  schedule: { cron: '* * * * * *', missed: 'all', overlap: 'allow' },
})
const count = defineJob({ name: 'count' })

const runtime = useTestRuntime()
let database: string

beforeAll(async () => {
  await runtime.rows('create table "Effect" (at timestamptz not null default now(), text text)')
  database = `"${new URL(runtime.url).pathname.slice(1)}"`
})

afterEach(async () => {
  await runtime.rows(`alter database ${database} reset all`)
  await runtime.clear('Effect', 'JobTick', 'JobSchedule')
})

/** Defaults that a database or a role may have. */
const HOSTILE: [name: string, value: string][] = [
  ['datestyle', `'SQL, DMY'`],
  ['datestyle', `'German'`],
  ['intervalstyle', 'sql_standard'],
  ['timezone', `'Asia/Kathmandu'`],
  ['timezone', `'America/St_Johns'`],
  ['bytea_output', 'escape'],
  ['extra_float_digits', '-15'],
  ['standard_conforming_strings', 'off'],
  ['array_nulls', 'off'],
  ['default_transaction_isolation', `'serializable'`],
  ['default_transaction_isolation', `'repeatable read'`],
  ['default_transaction_deferrable', 'on'],
  ['statement_timeout', `'1ms'`],
  ['lock_timeout', `'1ms'`],
  ['idle_in_transaction_session_timeout', `'1ms'`],
  ['idle_session_timeout', `'20ms'`],
  ['jit', 'on'],
  ['jit_above_cost', '0'],
  ['plan_cache_mode', 'force_generic_plan'],
  ['enable_indexscan', 'off'],
  ['client_encoding', `'LATIN1'`],
  ['search_path', `"$user", public, pg_catalog`],
  ['row_security', 'off'],
  ['work_mem', `'64kB'`],
  ['synchronous_commit', 'off'],
  ['client_min_messages', 'debug5'],
]

describe('a worker, a scheduler and a client of a database', () => {
  // Of a setting with two values, the last one counts.
  it.each([
    ['', HOSTILE],
    [' in another order', HOSTILE.toReversed()],
  ])('with all of them%s enqueue, run, tick, settle and read', async (_, settings) => {
    for (const [name, value] of settings)
      await runtime.rows(`alter database ${database} set ${name} = ${value}`)
    expect(await endToEnd()).toBe('success')
  })

  it('that is read-only say so', async () => {
    await runtime.rows(`alter database ${database} set default_transaction_read_only = on`)
    const worker = createWorker({
      ...runtime.workerOptions,
      jobs: [count],
      handlers: { count: async () => ({}) },
    })
    const error: unknown = await worker.start().catch((reason: unknown) => reason)
    await worker.stop()
    expect(connectionProblem(error, runtime.url)).toContain('refuses writes (read-only)')
    const client = createJobsClient({ schema: 'public', databaseUrl: runtime.url })
    const { problems } = await getJobHealth(client.reader, [count], new Date())
    await client.stop()
    expect(problems).toMatchObject([
      { kind: 'database', text: 'The database refuses writes (read-only).', isUnhealthy: true },
    ])
  })
})

async function endToEnd(): Promise<string> {
  let status: string
  const { url, log } = runtime
  const prisma = createDatabaseClient({
    url,
    applicationName: 'hostile',
    onPoolError: () => undefined,
  })
  const client = createJobsClient({ schema: 'public', databaseUrl: url, log })
  const worker = createWorker({
    schema: 'public',
    retention: false,
    databaseUrl: url,
    client: prisma,
    jobs: [sweep, count],
    handlers: {
      sweep: async () => ({}),
      count: async (ctx: RunContext<Record<string, never>, TransactionOf<PrismaClient>>) => {
        await ctx.batch(async (tx) => {
          const cleaned = await tx.$executeRaw`
            insert into "Effect" (text) select ${'Größe ' + String.raw`\n'`} from generate_series(1, 3)`
          return { cleaned }
        })
        return { half: 0.1 + 0.2 }
      },
    },
    log,
  })
  const before = runtime.lines.length
  try {
    await client.start()
    await worker.start()
    const { workId } = await prisma.$transaction((tx) => client.enqueue(tx, count, {}))
    const run = await waitFor(() =>
      prisma.jobRun.findFirst({ where: { workId, status: 'success' } }),
    )
    status = run.status
    expect(run.details).toMatchObject({ cleaned: 3, half: 0.1 + 0.2 })
    expect(Math.abs(run.startedAt.getTime() - Date.now())).toBeLessThan(600_000)
    expect(await getWork(client.reader, count, workId)).toMatchObject({ kind: 'completed' })
    const ticked = await waitFor(() =>
      prisma.jobRun.findFirst({ where: { name: 'sweep', status: 'success' } }),
    )
    const tick = await prisma.jobTick.findFirstOrThrow({
      where: { name: 'sweep', scheduledFor: ticked.scheduledFor! },
    })
    expect(tick.outcome).toBe('enqueued')
    const { scheduledFor } = tick
    expect(nextTick(sweep.schedule!, new Date(scheduledFor.getTime() - 1))).toEqual(scheduledFor)
  } finally {
    await worker.stop()
    await client.stop()
    await prisma.$disconnect()
  }
  expect(await runtime.rows('select distinct text from "Effect"')).toEqual([
    { text: 'Größe ' + String.raw`\n'` },
  ])
  expect(runtime.lines.slice(before).filter(({ level }) => Number(level) >= 40)).toEqual([])
  return status
}
