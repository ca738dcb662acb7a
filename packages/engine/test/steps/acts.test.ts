import { openForTests } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { defineJob, JobError, type DurableContext, type StepsOf } from '../../src/index.ts'
import { getWork, listDeadLetters } from '../../src/client.ts'
import { openTestJobs } from '../../src/testing.ts'
import type { PlainTransaction } from '../fixtures/plainClient.ts'
import { useOwnDatabase } from '../useOwnDatabase.ts'
import { usePlainClient } from '../usePlainClient.ts'

const by = { actor: 'olga@example.com', reason: 'because of the test' }
const book = defineJob({
  name: 'book',
  retry: { limit: 1, delayMs: 5_000 },
  timeoutMs: 500,
  steps: { reserve: {}, wait: {}, pay: { retry: { limit: 0 } }, release: {} },
})
type Context = DurableContext<Record<string, never>, PlainTransaction, StepsOf<typeof book>>

const { database, client } = usePlainClient()
let payFails = false
type Hook = (context: Context) => Promise<void> | void
let inReserve: Hook = () => undefined
let inPay: Hook = () => undefined
let inRelease: Hook = () => undefined
const calls: string[] = []
const keys: string[] = []
const test = openForTests(() =>
  openTestJobs({
    databaseUrl: database.url,
    client,
    jobs: [book],
    handlers: {
      async book(context: Context) {
        const { step } = context
        const did = (what: string) => (call: { key: string }) => {
          calls.push(what)
          keys.push(call.key)
        }
        await step.run('reserve', async (call) => {
          did('reserve')(call)
          await inReserve(context)
        })
        try {
          await step.sleep('wait', { hours: 1 })
          await step.run('pay', async (call) => {
            did('pay')(call)
            await inPay(context)
            if (payFails) throw new JobError('declined', 'No money', { retryable: false })
          })
        } catch (error) {
          await step.run('release', async (call) => {
            did('release')(call)
            await inRelease(context)
          })
          throw error
        }
      },
    },
  }),
)

const own = useOwnDatabase(database, test)

let workId = ''
beforeEach(async () => {
  await test.reset()
  calls.length = 0
  keys.length = 0
  payFails = false
  inReserve = () => undefined
  inPay = () => undefined
  inRelease = () => undefined
  workId = (await client.$transaction((tx) => test.enqueue(tx, book, {}))).workId
})

const drain = async () => (await test.drain()).map(({ status, error }) => error?.code ?? status)
const which = () => ({ job: book, ids: [workId] })
const letters = async () => (await listDeadLetters(test.reader, { limit: 10 })).deadLetters

describe('work that waits in a step, and that somebody cancels', () => {
  it('goes on once, with the wait thrown, so that it can undo what it has done', async () => {
    await drain()

    expect(await test.cancelWork(which(), by)).toMatchObject({ done: 1 })
    expect(await drain()).toEqual(['cancelled'])
    expect(calls).toEqual(['reserve', 'release'])
    expect(await letters()).toMatchObject([{ error: { code: 'cancelled' } }])
  })

  it('ends at once where somebody cancels it again', async () => {
    await drain()
    await test.cancelWork(which(), by)
    await test.cancelWork(which(), by)

    expect(await drain()).toEqual([])
    expect(calls).toEqual(['reserve'])
    expect(await letters()).toEqual([])
  })

  it('begins with the wait again where somebody redrives it', async () => {
    await drain()
    await test.cancelWork(which(), by)
    await drain()

    await test.redriveDeadLetters({ ids: [workId] }, by)
    expect(await drain()).toEqual(['suspended'])
    await test.advance({ hours: 1 })
    expect(await drain()).toEqual(['success'])
    expect(calls).toEqual(['reserve', 'release', 'pay'])
  })

  it('stays a dead letter where somebody redrives all, unless they say from where', async () => {
    await drain()
    await test.cancelWork(which(), by)
    await drain()

    expect(await test.redriveDeadLetters('all', by)).toMatchObject({ redriven: 0, cancelled: 1 })
    expect(await test.actOnMany({ ...by, kind: 'redrive', which: 'all' })).toMatchObject({
      done: 0,
      passed: { cancelled: 1 },
    })
    expect(await test.redriveDeadLetters('all', { ...by, from: 'failure' })).toMatchObject({
      redriven: 1,
    })
  })

  it('says which step has failed that was to undo something, and why', async () => {
    await drain()
    await test.cancelWork(which(), by)
    inRelease = () => {
      throw new JobError('gone', 'No such booking', { retryable: false })
    }

    expect(await drain()).toEqual(['cancelled'])
    expect(await letters()).toMatchObject([
      {
        error: {
          code: 'cancelled',
          message: expect.stringMatching(/not be undone.*"release" failed with gone/) as string,
        },
      },
    ])
  })

  it('says so where its retries are used up, too', async () => {
    await drain()
    await test.cancelWork(which(), by)
    inRelease = ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    // It takes longer than a run may.
    for (let runs = 0; runs < 2; runs++) {
      expect(await drain()).toEqual([runs === 0 ? 'timeout' : 'cancelled'])
      await test.advance({ minutes: 1 })
    }
    expect(await letters()).toMatchObject([
      { error: { code: 'cancelled', message: expect.stringContaining('timeout') as string } },
    ])
  })
})

it('a run that somebody cancels in a step is followed by one that undoes what it has done', async () => {
  await drain()
  await test.advance({ hours: 1 })
  inPay = async ({ run, signal }) => {
    await test.cancelRun(run.id, by)
    signal.throwIfAborted()
  }

  expect(await drain()).toEqual(['cancelled', 'cancelled'])
  expect(calls).toEqual(['reserve', 'pay', 'release'])
})

it('a cancellation counts whatever ends the run that it met', async () => {
  inReserve = async ({ run }) => {
    await own.query(
      `insert into "JobCancel" ("runId", "name", "requestedBy", "reason") values ($1, 'book', $2, 'x')`,
      [run.id, by.actor],
    )
    throw new Error('down')
  }

  expect(await drain()).toEqual(['handler_failed', 'cancelled'])
  expect(calls).toEqual(['reserve'])
})

it('a cancellation counts where the run that it met fails for good', async () => {
  await drain()
  await test.advance({ hours: 1 })
  payFails = true
  inPay = async ({ run }) => {
    await own.query(
      `insert into "JobCancel" ("runId", "name", "requestedBy", "reason") values ($1, 'book', $2, 'x')`,
      [run.id, by.actor],
    )
  }

  expect(await drain()).toEqual(['step_failed', 'cancelled'])
  expect(await letters()).toMatchObject([{ error: { code: 'cancelled' } }])
})

describe('a dead letter of durable work', () => {
  const fail = async () => {
    await drain()
    payFails = true
    await test.advance({ hours: 1 })
    expect(await drain()).toEqual(['step_failed'])
    calls.length = 0
    payFails = false
  }

  it('goes on with the step that failed, by default', async () => {
    await fail()
    const before = [...keys]

    await test.redriveDeadLetters({ ids: [workId] }, by)
    expect(await drain()).toEqual(['success'])
    expect(calls).toEqual(['pay'])
    expect(before).toContain(keys.at(-1))
  })

  it('begins anew where that is wanted, with other keys', async () => {
    await fail()
    const before = new Set(keys)

    await test.redriveDeadLetters({ ids: [workId] }, { ...by, from: 'beginning' })
    expect(await drain()).toEqual(['suspended'])
    await test.advance({ hours: 1 })
    expect(await drain()).toEqual(['success'])
    expect(calls).toEqual(['reserve', 'pay'])
    expect(before).not.toContain(keys.at(-1))
  })

  it('goes on from a step by its new name, and stays where it has not ended that', async () => {
    await fail()
    const renamed = defineJob({ name: 'book', steps: { pause: { was: ['wait'] } } })
    const redrive = (step: string, jobs?: (typeof renamed)[]) =>
      test.redriveDeadLetters({ ids: [workId] }, { ...by, jobs, from: { step } })

    for (const outcome of [await redrive('pause'), await redrive('wiat', [renamed])])
      expect(outcome).toMatchObject({ redriven: 0, withoutStep: 1 })
    expect(await redrive('pause', [renamed])).toMatchObject({ redriven: 1 })
    expect(await drain()).toEqual(['suspended'])
  })

  it('goes on from a step that somebody names', async () => {
    await fail()

    await test.redriveDeadLetters({ ids: [workId] }, { ...by, from: { step: 'wait' } })
    expect(await drain()).toEqual(['suspended'])
    await test.advance({ hours: 1 })
    expect(await drain()).toEqual(['success'])
    expect(calls).toEqual(['pay'])
  })
})

it('work that does its first step keeps its key where other work would replace it', async () => {
  await test.reset()
  const options = { uniqueKey: 'a', onConflict: 'replace' } as const
  const add = () => client.$transaction((tx) => test.enqueue(tx, book, {}, options))
  await add()
  inReserve = async () => expect(await add()).toMatchObject({ kind: 'alreadyQueued' })

  expect(await drain()).toEqual(['suspended'])
  await test.advance({ hours: 1 })
  expect(await drain()).toEqual(['success'])
  expect(calls).toEqual(['reserve', 'pay'])
  expect(await add()).toMatchObject({ kind: 'enqueued' })
})

it('work that has done a step keeps its payload where other work would replace it', async () => {
  await test.reset()
  const options = { uniqueKey: 'a', onConflict: 'replace' } as const
  const add = () => client.$transaction((tx) => test.enqueue(tx, book, {}, options))
  await add()
  expect(await add()).toMatchObject({ kind: 'replaced' })
  await drain()
  expect(await add()).toMatchObject({ kind: 'alreadyQueued' })
  await test.advance({ hours: 1 })
  inPay = async () => expect(await add()).toMatchObject({ kind: 'alreadyQueued' })
  expect(await drain()).toEqual(['success'])
  expect(await add()).toMatchObject({ kind: 'enqueued' })
})

it('work that waits in a step is waiting to those who ask', async () => {
  await drain()
  expect(await getWork(test.reader, book, workId)).toMatchObject({ kind: 'waiting' })
  expect(await test.explain(workId)).toMatchObject({
    state: 'waiting',
    reasons: expect.arrayContaining([
      expect.objectContaining({
        kind: 'step',
        text: 'step wait sleeps',
        until: expect.any(String) as string,
      }),
    ]) as unknown,
  })
})
