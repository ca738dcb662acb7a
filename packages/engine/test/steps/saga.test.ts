import { openForTests, waitFor } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { claimWork } from '../../src/queue/claimWork.ts'
import { placeDue } from '../../src/queue/looks.ts'
import { openTestJobs } from '../../src/testing.ts'
import { asWorker } from '../asWorker.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { usePlainClient } from '../usePlainClient.ts'

const by = { actor: 'olga@example.com', reason: 'the customer called' }
const travel = defineJob({
  name: 'travel',
  steps: { book: {}, pause: {}, undo: {} },
})
const ITEMS = ['hotel', 'flight', 'car']

describe('a journey that somebody cancels', () => {
  const calls: string[] = []
  /** Called within each step, before its effect. */
  let atCall: (call: string, runId: string) => Promise<void> | void
  const { database, client } = usePlainClient()
  const test = openForTests(() =>
    openTestJobs({
      databaseUrl: database.url,
      client,
      jobs: [travel],
      handlers: {
        async travel({ step, run }) {
          const booked: string[] = []
          const did = (what: 'book' | 'undo', item: string) =>
            step.run(
              what,
              async () => {
                await atCall(`${what} ${item}`, run.id)
                calls.push(`${what} ${item}`)
              },
              { item },
            )
          try {
            for (const item of ITEMS) {
              await did('book', item)
              booked.push(item)
              await step.sleep('pause', { minutes: 1 }, { item })
            }
          } catch (error) {
            for (const item of booked.toReversed()) await did('undo', item)
            throw error
          }
        },
      },
    }),
  )
  let workId = ''
  beforeEach(async () => {
    await test.reset()
    calls.length = 0
    atCall = () => undefined
    workId = (await client.$transaction((tx) => test.enqueue(tx, travel, {}))).workId
  })

  /** Runs what is due, and what becomes due, and returns how the last run ended. */
  async function runToEnd(): Promise<string | undefined> {
    for (let last: string | undefined; ; await test.advance({ minutes: 1 })) {
      const ended = await test.drain()
      if (ended.length === 0) return last
      last = ended.at(-1)?.error?.code ?? ended.at(-1)?.status
    }
  }

  it.each(ITEMS)('while %s is booked, undoes what was booked once each', async (item) => {
    atCall = async (call, runId) => {
      if (call === `book ${item}`) await test.cancelRun(runId, by)
    }

    expect(await runToEnd()).toBe('cancelled')
    const booked = ITEMS.slice(0, ITEMS.indexOf(item) + 1)
    expect(calls).toEqual([
      ...booked.map((one) => `book ${one}`),
      ...booked.toReversed().map((one) => `undo ${one}`),
    ])
  })

  it.each(ITEMS)('while it waits after %s, does so, too', async (item) => {
    const waits = ITEMS.indexOf(item)
    await test.drain()
    for (let n = 0; n < waits; n++) {
      await test.advance({ minutes: 1 })
      await test.drain()
    }
    await test.cancelWork({ job: travel, ids: [workId] }, by)

    expect(await runToEnd()).toBe('cancelled')
    const booked = ITEMS.slice(0, waits + 1)
    expect(calls).toEqual([
      ...booked.map((one) => `book ${one}`),
      ...booked.toReversed().map((one) => `undo ${one}`),
    ])
  })
})

describe('a run that somebody cancels, and whose worker dies', () => {
  const { runtime, client } = useClientRuntime({ cleared: [] })

  it.each(['in its first step', 'after a step'])('%s, ends as cancelled', async (when) => {
    const { workId } = await client.enqueueNow(travel, {})
    const { database } = runtime
    await placeDue(database, ['travel'])
    const request = {
      ...{ claimId: crypto.randomUUID(), name: 'travel', limit: 1 },
      ...{ exclusiveKey: null, expireSeconds: 900 },
    }
    const { work } = await asWorker(database, 'gone', () =>
      claimWork(database, { workerId: 'gone', requests: [request], startedAt: new Date() }),
    )
    expect(work).toHaveLength(1)
    if (when === 'after a step')
      await runtime.rows(
        `insert into "JobStep" ("workId", "name", "kind", "seq", "runId", "startedAt", "endedAt", "result")
         values ($1, 'book', 'run', 1, $1, now(), now(), 'null')`,
        [workId],
      )
    await client.cancelRun(work[0]?.id ?? '', by)
    const calls: string[] = []
    await startTestWorker(runtime, {
      jobs: [travel],
      handlers: {
        async travel({ step }) {
          try {
            await step.run('book', () => void calls.push('book'))
            await step.sleep('pause', { days: 9 })
          } catch (error) {
            await step.run('undo', () => void calls.push('undo'))
            throw error
          }
        },
      },
    })
    const codes = () =>
      runtime.column(
        'select "errorCode" from "JobRun" where "workId" = $1 order by "startedAt", "attempt"',
        [workId],
      )
    await waitFor(async () => (await codes()).length === 2, { timeoutMs: 20_000 })
    expect(await codes()).toEqual(['worker_lost', 'cancelled'])
    expect(calls).toEqual(['undo'])
  })
})
