// One cell of the matrix: a worker and a producer that do a little of everything. It tells what did not hold.
import { setTimeout as pause } from 'node:timers/promises'
import type { PrismaClient } from '@roundsman/db'
import { createLogger } from '@roundsman/node-app'
import { listJobRuns } from '@roundsman/engine/client'
import { defineJob, type HandlersFor, type TransactionOf } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import { followDriver } from '../followDriver.ts'
import { createClient, openPrisma } from '../product.ts'

const { settings, tell } = followDriver<CellSettings>()
const { databaseUrl, patienceMs } = settings
const ACTOR = { actor: 'Größe', reason: 'the matrix' }
const MINUTE_MS = 60_000

// Disturbing the database may cost attempts; only how the work ends counts.
const retry = { limit: 20, delayMs: 1_000, maxDelayMs: 1_000 }

const cellTick = defineJob({
  name: 'cellTick',
  schedule: { cron: '* * * * * *', timeZone: 'Europe/Berlin' },
  retry,
})

const counts = defineJob({ name: 'counts', retry })
const fails = defineJob({ name: 'fails', retry })
const waits = defineJob({ name: 'waits', retry })
const foreign = defineJob({ name: 'foreign', retry: { limit: 0 } })

const cellJobs = [cellTick, counts, fails, waits, foreign] as const

export interface CellSettings {
  databaseUrl: string
  patienceMs: number
}

const deadline = Date.now() + patienceMs
const log = createLogger({ app: 'cell', level: 'warn' })
const prisma = openPrisma(databaseUrl, 'cell', { poolSize: 4 })
const handlers: HandlersFor<typeof cellJobs, TransactionOf<PrismaClient>> = {
  cellTick: () => Promise.resolve(),
  async counts({ run, batch }) {
    for (let index = 0; index < 3; index++) {
      await batch(async (tx) => ({
        effects: await tx.$executeRawUnsafe(
          `insert into "CellEffect" select $1::uuid, now(), 1.5::float8`,
          run.id,
        ),
      }))
    }
    return { text: 'Größe', share: 0.1, at: new Date().toISOString() }
  },
  fails({ run }) {
    if (run.attempt === 1) throw new Error('Größe, at first')
    return Promise.resolve()
  },
  waits: ({ signal }) => pause(60_000, undefined, { signal }),
  // Not every encoding has these characters: then the run fails and says so.
  foreign: () => Promise.resolve({ text: '日本 \u{1f600}' }),
}
const options = {
  databaseUrl,
  schema: 'public',
  client: prisma,
  jobs: cellJobs,
  handlers,
  log,
  drainTimeoutMs: 2_000,
}
const client = createClient(databaseUrl)

/** Told in the end. Empty where all held. */
let problem = ''
let step = 'starts'
try {
  // Like a supervisor: a worker whose start failed is not started again, so that each try makes a new one.
  const worker = await stubbornly(async () => {
    const next = createWorker(options)
    await next.start()
    return next
  })
  await stubbornly(() => client.start())
  step = 'enqueues'
  const ids = await stubbornly(() =>
    prisma.$transaction(async (tx) => ({
      counts: (await client.enqueue(tx, counts, {}, { priority: 3 })).workId,
      fails: (await client.enqueue(tx, fails, {})).workId,
      waits: (await client.enqueue(tx, waits, {})).workId,
      foreign: (await client.enqueue(tx, foreign, {})).workId,
    })),
  )
  step = 'cancels'
  await until(async () => {
    const [run] = (await runsOf(ids.waits)).filter(({ status }) => status === 'running')
    return run !== undefined && (await client.cancelRun(run.id, ACTOR)) === 'requested'
  })
  await until(async () => (await runsOf(ids.waits)).some(({ code }) => code === 'cancelled'))
  step = 'settles'
  await until(async () => (await runsOf(ids.counts)).some(({ status }) => status === 'success'))
  await until(async () =>
    (await runsOf(ids.foreign)).some(({ status, code }) =>
      status === 'success' ? true : status === 'failed' && code !== 'worker_lost',
    ),
  )
  step = 'retries'
  await until(async () => {
    const runs = await runsOf(ids.fails)
    return (
      runs.some(({ code }) => code === 'handler_failed') &&
      runs.some(({ status, attempt }) => status === 'success' && attempt > 1)
    )
  })
  step = 'ticks'
  await until(async () => {
    const ticks = await ticksDone()
    return ticks.filter(({ status }) => status === 'success').length >= 3
  })
  step = 'reads'
  await until(checkRecord)
  step = 'stops'
  await worker.stop()
  const left = await stubbornly(() =>
    prisma.$queryRawUnsafe<{ id: string }[]>(
      `select "id" from "JobRun" where "status" = 'running' union all select "id" from "JobClaim" where "runIds" <> '{}'`,
    ),
  )
  if (left.length > 0) problem = `${left.length} runs or claims were left`
} catch (error) {
  problem = `${step}: ${error instanceof Error ? error.message : String(error)}`
}
tell({ problem })
process.exit(0)

interface Run {
  id: string
  status: string
  attempt: number
  code: string | null
}

async function runsOf(workId: string): Promise<Run[]> {
  return await prisma.$queryRawUnsafe<Run[]>(
    `select "id", "status"::text as status, "attempt", "errorCode" as code from "JobRunAll" where "workId" = $1::uuid`,
    workId,
  )
}

async function ticksDone(): Promise<{ status: string }[]> {
  const { runs } = await listJobRuns(client.reader, { limit: 50, name: cellTick.name })
  return runs
}

/** Whether the record says what happened, and when. */
async function checkRecord(): Promise<boolean> {
  const { runs } = await listJobRuns(client.reader, { limit: 100 })
  const [effects] = await prisma.$queryRawUnsafe<{ count: number }[]>(
    `select count(*)::int as count from "CellEffect" effect
     join "JobRun" run on run."id" = effect."runId" where run."status" = 'success'`,
  )
  const done = runs.find(({ name, status }) => name === counts.name && status === 'success')
  const details = done?.details as { text?: string; effects?: number; share?: number } | undefined
  if (details?.text !== 'Größe' || details.share !== 0.1) {
    throw new Error(`The details are ${JSON.stringify(details)}`)
  }
  if (details.effects !== 3 || effects?.count !== 3) {
    throw new Error(`${details.effects} effects were counted, and there are ${effects?.count}`)
  }
  for (const { name, startedAt, endedAt, scheduledFor } of runs) {
    for (const at of [startedAt, endedAt, scheduledFor]) {
      if (at !== null && Math.abs(Date.now() - Date.parse(at)) > 10 * MINUTE_MS) {
        throw new Error(`A run of ${name} has the time ${at}`)
      }
    }
    if (scheduledFor !== null && Date.parse(scheduledFor) % 1_000 !== 0) {
      throw new Error(`A tick is at ${scheduledFor}`)
    }
  }
  return true
}

/** Asks until it holds: the database may be away for a moment, and reading fail. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  await stubbornly(async () => {
    if (!(await holds())) throw new Error('not in time')
  })
}

async function stubbornly<Result>(work: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (Date.now() > deadline) throw error
      await pause(100)
    }
  }
}
