// Not quick: starts workers.
import { openForTests, waitFor } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { defineJob, defineSignal } from '../../src/index.ts'
import { openTestJobs } from '../../src/testing.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { usePlainClient } from '../usePlainClient.ts'

const HOUR_MS = 3_600_000
const WORK = 20
const approved = defineSignal({ name: 'approved' })
const drip = defineJob({
  name: 'drip',
  payload: z.strictObject({ n: z.number() }),
  concurrency: 5,
  steps: { pause: {}, answer: {}, late: {}, done: {} },
})
const { runtime, client } = useClientRuntime({ cleared: [] })

it('waits take as long as they say though hosts are an hour off, and one is set meanwhile', async () => {
  const took: number[] = []
  const answers: unknown[] = []
  const startWorker = (offsetMs: () => number) =>
    startTestWorker(runtime, {
      now: () => new Date(Date.now() + offsetMs()),
      jobs: [drip],
      handlers: {
        async drip({ payload: { n }, step }) {
          // It depends on the clock of the test alone.
          const beganAt = await step.run('late', () => performance.now())
          await step.sleep('pause', 1_000)
          const waited = await step.run('done', () => performance.now() - beganAt)
          const key = `${n}`
          const answer = await step.waitFor('answer', approved, { key, timeout: 500 })
          took.push(waited)
          answers.push(answer)
        },
      },
    })
  let set = 0
  await startWorker(() => HOUR_MS)
  await startWorker(() => -HOUR_MS)
  await startWorker(() => (set++ % 2 === 0 ? HOUR_MS : -HOUR_MS))
  const work = await client.enqueueManyNow(
    drip,
    Array.from({ length: WORK }, (_, n) => ({ payload: { n } })),
  )

  await waitFor(() => answers.length === WORK)
  expect(work).toHaveLength(WORK)
  expect(Math.min(...took)).toBeGreaterThanOrEqual(1_000)
  expect(new Set(answers)).toEqual(new Set([null]))
  expect(
    await runtime.column('select "errorCode" from "JobRun" where "status" = \'failed\''),
  ).toEqual([])
})

describe('where clocks are set back in autumn', () => {
  const { database, client: plain } = usePlainClient()
  const test = openForTests(async () => {
    await plain.$executeRawUnsafe(
      `do $$ begin execute format('alter database %I set timezone = ''Europe/Berlin''', current_database()); end $$`,
    )
    return await openTestJobs({
      ...{ databaseUrl: database.url, client: plain, jobs: [drip] },
      now: new Date('2026-10-24T12:00:00Z'),
      handlers: { drip: ({ step }) => step.sleep('pause', { days: 1 }) },
    })
  })
  beforeAll(() => void vi.stubEnv('TZ', 'Europe/Berlin'))
  afterAll(() => void vi.unstubAllEnvs())

  it('a day is 24 hours', async () => {
    await test.enqueueNow(drip, { n: 1 })
    const statuses = async () => (await test.drain()).map(({ status }) => status)
    expect(new Date('2026-10-25T12:00:00Z').getHours()).toBe(13)

    expect(await statuses()).toEqual(['suspended'])
    await test.advance({ hours: 23, minutes: 59 })
    expect(await statuses()).toEqual([])
    await test.advance({ minutes: 1 })
    expect(await statuses()).toEqual(['success'])
  })
})
