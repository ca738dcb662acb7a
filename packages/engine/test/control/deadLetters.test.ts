// Not quick: uses up attempts and workers.
import { waitFor } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { getWork, listDeadLetters } from '../../src/client.ts'
import { defineJob, JobError, type Handler, type Job, type PayloadOf } from '../../src/index.ts'
import { runOnce } from '../../src/worker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { startTestWorker } from '../startTestWorker.ts'

const parcel = defineJob({
  name: 'parcel',
  payload: z.strictObject({ n: z.number() }),
  retry: { limit: 1, delayMs: 1, maxDelayMs: 1 },
})
/** `parcel` as it was before its payload changed. */
const oldParcel = { ...parcel, payload: z.unknown() } as Job<'parcel'>
const rounds = defineJob({
  name: 'rounds',
  dryRun: true,
  schedule: { cron: '0 0 1 1 *' },
  retry: { limit: 0 },
})
const by = { actor: 'admin@example.com', reason: 'mended' }

const { runtime, client } = useClientRuntime({ cleared: ['JobTick', 'JobSchedule', 'JobAction'] })
let isBroken: boolean

const handleParcel = async () => {
  if (isBroken) throw new JobError('broken', 'The handler is broken')
}

const openParcel: Handler<PayloadOf<typeof parcel>, unknown> = async ({ payload: { n } }) => {
  await handleParcel()
  return { n }
}

beforeEach(async () => {
  isBroken = true
  await startTestWorker(runtime, {
    jobs: [parcel, rounds],
    handlers: { parcel: handleParcel, rounds: handleParcel },
  })
})

const enqueue = async (n: number) =>
  (await runtime.prisma.$transaction((tx) => client.enqueue(tx, parcel, { n }))).workId
const list = async () => (await listDeadLetters(runtime.reader, { limit: 50 })).deadLetters
const redrive = async (which: string[] | 'all') => {
  const letters = which === 'all' ? which : { ids: which }
  return (
    await client.redriveDeadLetters(letters, { ...by, jobs: [parcel], evenIfWorkersDied: true })
  ).redriven
}
const actions = () => runtime.rows('select * from "JobAction"')
const runs = () =>
  runtime.rows<{ attempt: number; status: string; actor: string | null; reason: string | null }>(
    'select * from "JobRun" order by "attempt"',
  )
async function failFor(count: number): Promise<string[]> {
  const ids: string[] = []
  for (let n = 0; n < count; n++) ids.push(await enqueue(n))
  await waitFor(async () => (await list()).length === count, { timeoutMs: 20_000 })
  return ids
}

describe('work that has used up its attempts', () => {
  it('is kept with its error and what it took', async () => {
    const [workId] = await failFor(1)

    expect(await list()).toEqual([
      {
        workId,
        name: 'parcel',
        label: null,
        key: null,
        shown: null,
        attempts: 2,
        losses: 0,
        enqueuedAt: expect.any(String),
        failedAt: expect.any(String),
        error: { code: 'broken', message: 'The handler is broken' },
        runId: expect.any(String),
      },
    ])
  })

  it('redriven, gets all of its attempts again, and its runs say who wanted it', async () => {
    const [workId] = await failFor(1)
    expect(await redrive([workId!])).toBe(1)
    expect(await actions()).toMatchObject([{ action: 'redrive', name: 'parcel', workId, ...by }])
    await waitFor(async () => (await list())[0]?.attempts === 4, { timeoutMs: 20_000 })
    isBroken = false
    await redrive([workId!])

    await waitFor(async () => (await runs()).some(({ status }) => status === 'success'))
    expect(await getWork(runtime.reader, parcel, workId!)).toEqual({ kind: 'completed' })
    expect(await list()).toEqual([])
    expect(await runs()).toMatchObject([
      { attempt: 1, status: 'failed', actor: null },
      { attempt: 2, status: 'failed', actor: null },
      { attempt: 3, status: 'failed', ...by },
      { attempt: 4, status: 'failed', ...by },
      { attempt: 5, status: 'success', ...by },
    ])
  })
})

describe('a payload that its job does not take any more', () => {
  it('ends there at once, with a code that says so', async () => {
    await runtime.prisma.$transaction((tx) => client.enqueue(tx, oldParcel, { weight: 1 }))
    await waitFor(async () => (await list()).length === 1)

    expect(await list()).toMatchObject([{ attempts: 1, error: { code: 'payload_invalid' } }])
    expect(JSON.stringify(await list())).not.toContain('"weight":1')
  })
})

describe('runOnce for a dead letter', () => {
  const once = (deadLetter: string) =>
    runOnce({
      ...runtime.runOptions,
      job: parcel,
      handler: openParcel,
      deadLetter,
    })

  it('is its next attempt, with its payload, and completes it', async () => {
    const [workId] = await failFor(1)
    isBroken = false
    expect(await once(workId!)).toMatchObject({
      kind: 'ended',
      run: { status: 'success', details: { n: 0 } },
    })

    expect(await list()).toEqual([])
    expect(await getWork(runtime.reader, parcel, workId!)).toEqual({ kind: 'completed' })
    expect(await runs()).toMatchObject([
      { attempt: 1 },
      { attempt: 2 },
      { attempt: 3, status: 'success', trigger: 'cli', workId },
    ])
  })

  it('that fails again is a dead letter again, and is not retried', async () => {
    const [workId] = await failFor(1)
    expect(await once(workId!)).toMatchObject({ kind: 'ended', run: { status: 'failed' } })

    expect(await list()).toMatchObject([{ workId, attempts: 3 }])
  })

  it.each(['cancelled', 'guard_blocked'])(
    'of a run that a person asked for is a dead letter again, also where it ends as %s',
    async (code) => {
      await client.requestRun(rounds, by)
      await waitFor(async () => (await list()).length === 1)
      const { workId } = (await list())[0]!
      const stop = new AbortController()
      const ended = await runOnce({
        ...runtime.runOptions,
        job: rounds,
        handler: async ({ signal }) => {
          stop.abort(new JobError(code, 'Stopped', { retryable: false }))
          signal.throwIfAborted()
        },
        deadLetter: workId,
        signal: stop.signal,
      })
      expect(ended).toMatchObject({ run: { status: 'failed', details: { error: { code } } } })

      expect(await list()).toMatchObject([{ workId, attempts: 2, error: { code } }])
      isBroken = false
      const outcome = await client.redriveDeadLetters({ ids: [workId] }, by)
      expect(outcome).toMatchObject({ redriven: 1 })
      await waitFor(async () => (await list()).length === 0)
    },
  )

  it('is refused for work that is none', async () => {
    const workId = crypto.randomUUID()
    expect(await once(workId)).toEqual({ kind: 'noDeadLetter', workId })
    expect(await runs()).toEqual([])
  })
})
