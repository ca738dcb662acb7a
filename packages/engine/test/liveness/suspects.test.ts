// Not quick: loses workers one after the other.
import { waitFor } from '@roundsman/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, type RunContext } from '../../src/index.ts'
import { createWorkerThatWaits } from '../../src/worker/createWorker.ts'
import type { Worker } from '../../src/worker.ts'
import { WORK_LEFT } from '../readWorkStates.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const payload = z.object({ n: z.number() })
const parcel = defineJob({
  name: 'parcel',
  payload,
  concurrency: 4,
  timeoutMs: 2_000,
})
const rounds = defineJob({
  name: 'rounds',
  payload: z.object({ n: z.number().default(0) }),
  schedule: { cron: '0 0 1 1 *', overlap: 'queue' },
})
const slow = defineJob({
  name: 'slow',
  payload,
  rateLimit: { limit: 100, perMs: 1_000 },
})
const jobs = [parcel, rounds, slow] as const
type Name = (typeof jobs)[number]['name']

const { runtime, client } = useClientRuntime()
let worker: Worker
/** The numbers of the work that runs at this moment, and of what has run. */
let running: number[]
let started: { n: number; beside: number[]; isAlone: boolean }[]
let held: Set<number>
let release: Map<number, () => void>

async function handle({ run, payload: { n }, signal }: RunContext<{ n: number }, unknown>) {
  const beside = [...running]
  running.push(n)
  const [claim] = await runtime.rows<{ isAlone: boolean }>(
    'select "isAlone" from "JobClaim" where $1::uuid = any("runIds")',
    [run.id],
  )
  started.push({ n, beside, isAlone: claim?.isAlone ?? false })
  try {
    if (!held.has(n)) return
    await new Promise<void>((resolve, reject) => {
      release.set(n, resolve)
      signal.addEventListener('abort', () => reject(signal.reason as Error))
    })
  } finally {
    running = running.filter((one) => one !== n)
  }
}

beforeEach(async () => {
  await runtime.clear('JobTick', 'JobSchedule', 'JobThrottle')
  running = []
  started = []
  held = new Set()
  release = new Map()
})

afterEach(async () => {
  await worker.stop({ drainTimeoutMs: 0 })
  await expectNothingHeld()
})

async function expectNothingHeld(): Promise<void> {
  expect(await runtime.rows('select from "JobClaim"')).toEqual([])
  expect(await runtime.rows(`select from "JobRun" where "status" = 'running'`)).toEqual([])
}

async function startWorker(waits: { aloneMs?: number } = {}): Promise<void> {
  const { url, prisma, log } = runtime
  worker = createWorkerThatWaits(waits, {
    schema: 'public',
    retention: false,
    databaseUrl: url,
    client: prisma,
    jobs,
    handlers: { parcel: handle, rounds: handle, slow: handle },
    log,
  })
  await worker.start()
}

/** Enqueues work that has lost so many workers, in as many attempts. */
async function enqueue(
  n: number,
  { lost = 0, name = 'parcel' }: { lost?: number; name?: Name } = {},
): Promise<void> {
  const job = jobs.find((one) => one.name === name) ?? parcel
  await runtime.prisma.$transaction(async (tx) => {
    const { workId } = await client.enqueue(tx, job, { n })
    if (lost === 0) return
    await tx.$executeRawUnsafe(
      `update "JobWork" set "losses" = $2::int, "attempt" = $2::int + 1 where "id" = $1::uuid`,
      workId,
      lost,
    )
  })
}

const isStarted = (n: number) => waitFor(() => started.some((one) => one.n === n))
const waiters = () =>
  runtime.rows<{ name: string; losses: number; attempt: number }>(
    'select "name", "losses", "attempt" from "JobWork" where "losses" >= 2 order by "losses"',
  )
const isWaiting = () =>
  waitFor(() => runtime.lines.some(({ msg }) => String(msg).startsWith('work waits')))
const ends = () =>
  waitFor(
    async () =>
      (await runtime.rows(`select from ${WORK_LEFT} where state in ('created', 'retry', 'active')`))
        .length === 0,
    { timeoutMs: 20_000 },
  )
const codes = () =>
  runtime.rows<{ attempt: number; errorCode: string | null }>(
    'select "attempt", "errorCode" from "JobRunAll" order by "startedAt", "attempt"',
  )

beforeEach(() => void runtime.lines.splice(0))

describe('work that has lost several workers', () => {
  it('waits until nothing else runs, and holds a claim that says so before it starts', async () => {
    held.add(1)
    await startWorker()
    await enqueue(1)
    await isStarted(1)
    await enqueue(2, { lost: 2 })
    await isWaiting()
    // Meanwhile the lanes take nothing new.
    await enqueue(3)
    await enqueue(4, { name: 'rounds' })
    release.get(1)!()
    await ends()

    expect(started.map(({ n }) => n).slice(0, 2)).toEqual([1, 2])
    expect(started.find(({ n }) => n === 2)).toEqual({ n: 2, beside: [], isAlone: true })
    for (const other of started.filter(({ n }) => n !== 2)) {
      expect(other.isAlone).toBe(false)
      expect(other.beside).not.toContain(2)
    }
  })

  it('runs beside others after a single loss', async () => {
    held.add(1)
    await startWorker()
    await enqueue(1)
    await isStarted(1)
    await enqueue(2, { lost: 1 })
    await isStarted(2)
    expect(started[1]).toEqual({ n: 2, beside: [1], isAlone: false })
    release.get(1)!()
    await ends()
  })

  it('has its turn one by one, also those that one claim has taken with others', async () => {
    for (let n = 0; n < 4; n++) await enqueue(n, { lost: n % 2 === 0 ? 2 : 0 })
    for (let n = 4; n < 8; n++) await enqueue(n, { lost: 3, name: n < 6 ? 'rounds' : 'slow' })
    await startWorker()
    await ends()

    const suspects = [0, 2, 4, 5, 6, 7]
    expect(
      started
        .filter(({ isAlone }) => isAlone)
        .map(({ n }) => n)
        .toSorted((a, b) => a - b),
    ).toEqual(suspects)
    expect(started.filter(({ isAlone, beside }) => isAlone && beside.length > 0)).toEqual([])
    expect(started.filter(({ beside }) => beside.some((n) => suspects.includes(n)))).toEqual([])
    expect(new Set(started.map(({ n }) => n)).size).toBe(8)
  })

  it('stays as it was when what runs does not end, and the lanes go on', async () => {
    held.add(1)
    await startWorker({ aloneMs: 300 })
    await enqueue(1, { name: 'rounds' })
    await isStarted(1)
    await enqueue(2, { lost: 2 })
    await enqueue(3, { lost: 3 })
    const before = await waiters()
    await waitFor(() =>
      runtime.lines.some(({ msg }) => String(msg).endsWith('was left to other workers')),
    )
    expect(await waiters()).toEqual(before)
    expect(before).toMatchObject([{ losses: 2 }, { losses: 3 }])
    expect(await codes()).toHaveLength(1)
    await enqueue(4)
    await isStarted(4)
    expect(started.at(-1)).toMatchObject({ n: 4, beside: [1] })

    release.get(1)!()
    await ends()
    expect(
      started
        .filter(({ isAlone }) => isAlone)
        .map(({ n }) => n)
        .toSorted((a, b) => a - b),
    ).toEqual([2, 3])
    expect((await codes()).map(({ attempt }) => attempt).toSorted((a, b) => a - b)).toEqual([
      1, 1, 3, 4,
    ])
  })

  it('is not started when somebody cancels it meanwhile, and holds nobody up for long', async () => {
    held.add(1)
    await startWorker({ aloneMs: 300 })
    await enqueue(1)
    await isStarted(1)
    await enqueue(2, { lost: 2 })
    await isWaiting()
    const by = { actor: 'somebody', reason: 'a test' }
    expect(await client.cancelWork({ job: parcel, all: true }, by)).toMatchObject({ done: 1 })
    await enqueue(3)
    await isStarted(3)
    release.get(1)!()
    await waitFor(() => running.length === 0)
    expect(started.map(({ n }) => n)).toEqual([1, 3])
  })

  it('stays as it was when the worker stops meanwhile', async () => {
    held.add(1)
    await startWorker()
    await enqueue(1)
    await isStarted(1)
    await enqueue(2, { lost: 2 })
    await isWaiting()
    const before = await waiters()
    const stopped = worker.stop({ drainTimeoutMs: 10_000 })
    await waitFor(() => runtime.lines.some(({ reason }) => reason === 'stopped'))
    release.get(1)!()
    await stopped
    expect(before).toHaveLength(1)
    expect(await waiters()).toEqual(before)
    expect(await codes()).toEqual([{ attempt: 1, errorCode: null }])
    expect(started.map(({ n }) => n)).toEqual([1])
  })

  it('is aborted and given back like any other when the worker stops while it runs', async () => {
    held.add(2)
    await startWorker()
    await enqueue(2, { lost: 4 })
    await isStarted(2)
    await worker.stop({ drainTimeoutMs: 0 })
    expect(await codes()).toEqual([{ attempt: 5, errorCode: 'drained' }])
    expect(await waiters()).toMatchObject([{ losses: 4, attempt: 6 }])
  })

  it('holds no lane up while its job cannot start anyway', async () => {
    held.add(1)
    await startWorker()
    await enqueue(1, { name: 'rounds' })
    await isStarted(1)
    await enqueue(2, { lost: 2, name: 'rounds' })
    for (let n = 3; n < 6; n++) {
      // Only a round finds it, which sees the other, too.
      const startAfter = new Date(Date.now() + 100)
      await client.enqueueNow(parcel, { n }, { startAfter })
      await isStarted(n)
    }
    expect(runtime.lines.some(({ msg }) => String(msg).startsWith('work waits'))).toBe(false)
    release.get(1)!()
    await ends()
    expect(started.at(-1)).toMatchObject({ n: 2, isAlone: true })
  })
})
