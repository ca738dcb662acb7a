import { batchName } from './writeHandler.ts'

/** Writes the source of a test of a handler that is still to be written, with what further tests need. */
export function writeTest(name: string): string {
  return `import { ${name} as job } from '@roundsman/jobs'
import { runOnce } from '@roundsman/engine/worker'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { ${name} as handler } from '../../src/jobs/${name}.ts'
import { useWorkerDatabase } from '../useWorkerDatabase.ts'

const log = pino({ level: 'silent' })
const used = useWorkerDatabase()

async function run(payload = {}) {
  const { url: databaseUrl, prisma: client } = used.database
  const result = await runOnce({ schema: 'public', databaseUrl, client, job, handler, payload, log })
  if (result.kind !== 'ended') throw new Error(result.kind)
  return result.run
}

describe('${name}', () => {
  // Put what it does in the place of this, and what holds when it is run twice.
  it('fails at once for as long as it is not written', async () => {
    expect(await run()).toMatchObject({
      status: 'failed',
      details: { error: { code: 'not_written' } },
    })
  })
})
`
}

/** Writes the source of tests for what holds of every clean-up, on a table that stands for the product's own. */
export function writeCleanupTest(name: string): string {
  const ownPart = batchName(name)
  return `import type { PrismaClient } from '@roundsman/db'
import { ${name} as job } from '@roundsman/jobs'
import { JobError } from '@roundsman/engine'
import { createWorker, runOnce, type RunOnceOptions } from '@roundsman/engine/worker'
import { readWorkState, waitFor } from '@roundsman/testing'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Handler, Transaction } from '../../src/jobs/handler.ts'
import { ${name}, ${ownPart} } from '../../src/jobs/${name}.ts'
import { enqueue } from '../enqueue.ts'
import { openWorkerDatabase, type WorkerDatabase } from '../openWorkerDatabase.ts'

const log = pino({ level: 'silent' })
let database: WorkerDatabase
let prisma: PrismaClient

beforeAll(async () => {
  database = await openWorkerDatabase()
  prisma = database.prisma
  // Stands for what the job is about: put the product's own table in its place, and ${ownPart} in that of doSome.
  await prisma.$executeRaw\`
    create table "Piece" ("number" int primary key, "isDone" boolean not null default false)\`
})
afterAll(() => database.close())
beforeEach(() => prisma.$executeRaw\`truncate "Piece", "JobRun", "JobClaim", "JobWork", "JobDeadLetter"\`)

const handler = ${name}({ doSome })

async function doSome(tx: Transaction, limit: number): Promise<number> {
  return await tx.$executeRaw\`
    update "Piece" set "isDone" = true
    where "number" in (
      select "number" from "Piece" where not "isDone"
      order by "number" limit \${limit} for update skip locked
    )\`
}

/** Pieces that are due, numbered from 1 in the order in which they are done. */
async function insertDue(count: number): Promise<void> {
  await prisma.$executeRaw\`insert into "Piece" select generate_series(1, \${count}::int)\`
}

async function countDue(): Promise<number> {
  const [row] = await prisma.$queryRaw<{ count: number }[]>\`
    select count(*)::int as "count" from "Piece" where not "isDone"\`
  return row?.count ?? 0
}

async function run(options: Partial<RunOnceOptions<typeof job, PrismaClient>> = {}) {
  const result = await runOnce({ schema: 'public', databaseUrl: database.url, client: prisma, job, handler, log, ...options })
  if (result.kind !== 'ended') throw new Error(result.kind)
  return result.run
}

const runs = () => prisma.jobRun.findMany({ orderBy: { id: 'asc' } })

describe('${name}', () => {
  it('does all that is due, batch by batch, and counts it', async () => {
    await insertDue(2_500)

    expect(await run()).toMatchObject({
      status: 'success',
      details: { done: 2_500, batches: 3 },
    })
    expect(await countDue()).toBe(0)
  })

  it('finds nothing to do, and records a run that says so', async () => {
    expect(await run()).toMatchObject({ status: 'success', details: { done: 0, batches: 0 } })
    expect(await runs()).toHaveLength(1)
  })

  it('does nothing the second time', async () => {
    await insertDue(3)

    expect(await run()).toMatchObject({ details: { done: 3 } })
    expect(await run()).toMatchObject({ status: 'success', details: { done: 0 } })
  })

  it('changes nothing in a dry run, which says what a real one would do', async () => {
    await insertDue(3)

    expect(await run({ dryRun: true })).toMatchObject({ details: { done: 3 } })
    expect(await countDue()).toBe(3)
  })

  it('aborted after a batch, ends with the counts of that batch, and the next run does the rest', async () => {
    await insertDue(2_500)
    const stop = new AbortController()
    const abortAfterABatch: Handler<typeof job> = (context) =>
      handler({
        ...context,
        batch: async (work) => {
          const counts = await context.batch(work)
          stop.abort(new JobError('cancelled', 'No longer wanted', { retryable: false }))
          return counts
        },
      })

    expect(await run({ handler: abortAfterABatch, signal: stop.signal })).toMatchObject({
      status: 'failed',
      details: { done: 1_000, batches: 1, error: { code: 'cancelled' } },
    })
    expect(await countDue()).toBe(1_500)
    expect(await run()).toMatchObject({ status: 'success', details: { done: 1_500 } })
  })

  it('is retried where it stopped, and becomes a dead letter after the last attempt', async () => {
    await insertDue(2_500)
    await prisma.$executeRaw\`
      create function refuse_piece() returns trigger language plpgsql as
      'begin raise exception ''this one stays''; end'\`
    onTestFinished(async () => {
      await prisma.$executeRaw\`drop function refuse_piece cascade\`
    })
    await prisma.$executeRaw\`
      create trigger refuse_piece before update on "Piece"
      for each row when (old."number" = 1500) execute function refuse_piece()\`
    const worker = createWorker({ schema: 'public',
      databaseUrl: database.url,
      client: prisma,
      jobs: [{ ...job, retry: { limit: 1, delayMs: 1, maxDelayMs: 1 } }],
      handlers: { ${name}: handler },
      log,
    })
    await worker.start()
    onTestFinished(() => worker.stop())

    const workId = await enqueue(database, job)
    await waitFor(async () => (await readWorkState(prisma, workId)) === 'failed')

    const error = { message: expect.stringContaining('this one stays') }
    const failed = { status: 'failed', trigger: 'queue', workId }
    expect(await runs()).toMatchObject([
      { ...failed, attempt: 1, details: { done: 1_000, batches: 1, error } },
      { ...failed, attempt: 2, details: { error } },
    ])
    expect(await countDue()).toBe(1_500)
  })

  it('fails at once for as long as it is not written', async () => {
    expect(await run({ handler: ${name}({ doSome: ${ownPart} }) })).toMatchObject({
      status: 'failed',
      details: { error: { code: 'not_written' } },
    })
  })
})
`
}
