// Not quick: waits for rounds, one a second.
import { listEngineTables, waitFor } from '@roundsman/testing'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { v7 as uuid } from 'uuid'
import { z } from 'zod'
import { defineJob } from '../../src/index.ts'
import { createWorker, type Worker } from '../../src/worker.ts'
import { holdRuns } from '../holdRuns.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const scheduled = defineJob({ name: 'scheduled' })
const delayed = defineJob({ name: 'delayed', payload: z.object({ id: z.string() }) })
const waiting = defineJob({ name: 'waiting' })
const jobs = [scheduled, delayed, waiting] as const

const { runtime, client } = useClientRuntime()
const rows: typeof runtime.rows = (...asked) => runtime.rows(...asked)
const exists = (from: string, what: string) =>
  runtime.value<boolean>(`select exists (select ${from})`, [what])

const begun = new Set<string>()
const running = new Set<string>()
const cancelled = new Set<string>()
let foreign: pg.Client
let worker: Worker

beforeAll(async () => {
  foreign = new pg.Client(runtime.url)
  await foreign.connect()
  worker = createWorker({
    ...runtime.workerOptions,
    jobs,
    handlers: {
      async scheduled() {},
      async delayed({ payload }) {
        begun.add(payload.id)
      },
      async waiting({ run, signal }) {
        running.add(run.id)
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        running.delete(run.id)
        cancelled.add(run.id)
      },
    },
  })
  await worker.start()
})
afterAll(async () => {
  await foreign.end()
  await worker.stop({ drainTimeoutMs: 0 })
})

/** Each part adds what only a round finds, without a notification, and returns a question whether the worker has done it. */
const parts = {
  async tick() {
    const key = uuid()
    await rows(
      `insert into "JobSchedule" ("name", "key", "version", "cron", "timeZone", "missed", "overlap", "catchUpMs", "jitterMs", "delayMs",
         "payload", "bytes", "cursor", "nextAt", "dueAt", "tzdata")
       values ('scheduled', $1, 1, '0 0 1 1 *', 'UTC', 'once', 'skip', 86400000, 0, 0, '{}', 2, now() - interval '1 minute', now(), now(), $2)`,
      [key, process.versions.tz],
    )
    return () => exists('from "JobTick" where "key" = $1', key)
  },
  async work() {
    const id = uuid()
    await rows(
      `insert into "JobWork" ("id", "name", "place", "bytes", "payload")
       values (gen_random_uuid(), 'delayed', null, 50, jsonb_build_object('id', $1::text))`,
      [id],
    )
    return async () => begun.has(id)
  },
  async rescue() {
    const workerId = uuid()
    await rows('insert into "JobWorker" ("id") values ($1)', [workerId])
    await holdRuns(runtime, { name: 'scheduled', workerId })
    return () =>
      exists(`from "JobRun" where "workerId" = $1 and "errorCode" = 'worker_lost'`, workerId)
  },
  async cancellation() {
    const [runId] = running
    await rows(
      `insert into "JobCancel" ("runId", "name", "requestedBy") values ($1, 'waiting', 'ann')`,
      [runId],
    )
    return async () => cancelled.has(runId as string)
  },
}
type Part = keyof typeof parts

/** Each table, and the parts that need it. */
const NEEDED_BY: Readonly<Record<string, readonly Part[]>> = {
  JobAction: [],
  JobAlert: [],
  JobAlertDelivery: [],
  JobCancel: ['cancellation', 'rescue'],
  JobChild: ['rescue'],
  JobClaim: ['cancellation', 'rescue', 'work'],
  JobDeadLetter: ['rescue'],
  JobFormerWorker: [],
  JobKey: [],
  JobLimit: [],
  JobMigration: [],
  JobPayload: ['rescue'],
  JobQueue: ['work'],
  JobRun: ['cancellation', 'rescue'],
  JobSchedule: ['tick'],
  JobSignal: [],
  JobStep: ['rescue'],
  JobThrottle: [],
  JobTick: ['tick'],
  JobUnique: ['rescue'],
  JobWork: ['rescue', 'tick', 'work'],
  JobWorker: ['rescue'],
}

it.each(Object.entries(NEEDED_BY))(
  'while another session has locked %s, rounds leave out %j alone',
  async (table, needing) => {
    await client.enqueueNow(waiting, {})
    await waitFor(() => running.size === 1, { message: 'a run waits' })
    const others = Object.entries(parts).filter(([name]) => !needing.includes(name as Part))
    const isDone = async (name: string, begin: (typeof parts)[Part]) =>
      await waitFor(await begin(), { message: name, timeoutMs: 10_000 })
    runtime.lines.length = 0
    await foreign.query(`begin; lock "${table}" in access exclusive mode`)
    await Promise.all(others.map(async ([name, begin]) => await isDone(name, begin)))
    const leftOut = runtime.lines.flatMap(({ part }) => part ?? [])
    expect(leftOut, 'each is logged once').toEqual([...new Set(leftOut)])
    await foreign.query('rollback')
    await Promise.all(needing.map(async (name) => await isDone(name, parts[name])))
  },
  60_000,
)

it('these are all tables', async () => {
  const tables = await listEngineTables(foreign)
  expect(tables.map((name) => name.replaceAll('"', ''))).toEqual(Object.keys(NEEDED_BY))
})
