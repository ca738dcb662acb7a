import { openForTests } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, JobError, type StepCall, type Verified } from '../../src/index.ts'
import { FAIL_WAIT_SQL } from '../../src/queue/stepSql.ts'
import { openTestJobs } from '../../src/testing.ts'
import { useOwnDatabase } from '../useOwnDatabase.ts'
import { usePlainClient } from '../usePlainClient.ts'

type Receipt = { id: string }
const by = { actor: 'olga@example.com', reason: 'asked the bank' }
const pay = defineJob({
  name: 'pay',
  retry: { limit: 2, delayMs: 5_000 },
  steps: { charge: { effect: 'once', result: z.object({ id: z.string() }) }, mail: {} },
})

/** What the service does at each call. */
let charge: (call: StepCall) => Receipt
let verify: ((call: StepCall) => Verified<Receipt>) | undefined
const receipts: Receipt[] = []
let charges = 0
/** What happens at the start of the next pass. */
let before: (() => Promise<void>) | null = null

const { database, client } = usePlainClient()
const test = openForTests(() =>
  openTestJobs({
    databaseUrl: database.url,
    client,
    jobs: [pay],
    handlers: {
      async pay({ step }) {
        await before?.()
        before = null
        receipts.push(
          await step.run(
            'charge',
            (call) => {
              charges++
              return charge(call)
            },
            { ...(verify && { verify }) },
          ),
        )
        await step.run('mail', () => 1)
      },
    },
  }),
)
const own = useOwnDatabase(database, test)

let workId = ''
beforeEach(async () => {
  await test.reset()
  receipts.length = 0
  charges = 0
  verify = undefined
  workId = (await client.$transaction((tx) => test.enqueue(tx, pay, {}))).workId
})

const drain = async () => (await test.drain()).map(({ status, error }) => error?.code ?? status)
const steps = async () => (await test.steps(workId)).map(({ name, state }) => `${name} ${state}`)
const isDown = (): never => {
  throw new Error('socket hang up')
}

describe('an effect that is declared as once', () => {
  it('is called once, and its result is a memo', async () => {
    charge = () => ({ id: 'r1' })

    expect(await drain()).toEqual(['success'])
    expect(charges).toBe(1)
    expect(await steps()).toEqual(['charge done', 'mail done'])
  })

  it('did not happen where it throws a JobError, and is called again', async () => {
    charge = () => {
      if (charges === 1) throw new JobError('declined', 'No money')
      return { id: 'r1' }
    }

    expect(await drain()).toEqual(['declined'])
    expect(await steps()).toEqual(['charge retrying'])
    await test.advance({ seconds: 5 })
    expect(await drain()).toEqual(['success'])
    expect(charges).toBe(2)
  })
})

it('an effect of which another run has stored a memo meanwhile is not called', async () => {
  charge = () => ({ id: 'r1' })
  // As a worker does that was taken for dead, and whose statement was under way.
  before = async () => {
    await own.query(
      `insert into "JobStep" ("workId", "name", "kind", "seq", "runId", "startedAt", "endedAt", "result")
       values ($1, 'charge', 'run', 1, gen_random_uuid(), now(), now(), '{"id": "r0"}')`,
      [workId],
    )
  }

  expect(await drain()).toEqual(['success'])
  expect(charges).toBe(0)
  expect(receipts.at(-1)).toEqual({ id: 'r0' })
})

describe('an effect that may have happened', () => {
  it.each([{}, null, ['absent'], new String('absent'), 5])(
    'stays in doubt where verify answers %j',
    async (answer) => {
      charge = isDown
      verify = () => answer as never
      expect(await drain()).toEqual(['suspended'])
      const [step] = await test.steps(workId)
      expect(step).toMatchObject({
        state: 'inDoubt',
        error: { message: expect.stringContaining('and not { done }') as string },
      })
    },
  )

  it('does not fail again what has failed beside it and is retried', async () => {
    charge = isDown
    await drain()
    const error = { code: 'await_beside_wait', message: 'of the test' }
    await own.query(FAIL_WAIT_SQL, [workId, JSON.stringify(error)])
    expect(await drain()).toEqual(['await_beside_wait'])
    await test.redriveDeadLetters({ ids: [workId] }, { ...by, from: 'beginning' })
    expect(await drain()).toEqual(['suspended'])
    expect(await steps()).toEqual(['charge inDoubt'])
  })

  it('is answered under the new name of its step, and asked about under no other', async () => {
    charge = isDown
    await drain()
    const job = defineJob({ name: 'pay', steps: { book: { was: ['charge'] }, other: {} } })
    const answer = { ...by, happened: true, result: { id: 'r1' } }
    for (const which of [{ step: 'book' }, { step: 'other', job }])
      expect(await test.answerDoubt({ workId, ...which }, answer)).toBe('notInDoubt')
    expect(await test.answerDoubt({ workId, step: 'book', job }, answer)).toBe('answered')
    expect(await drain()).toEqual(['success'])
  })

  it.each<[string, () => Receipt]>([
    ['an error of no known meaning', isDown],
    ['a result that its schema refuses', () => ({ amount: 1 }) as never],
  ])('after %s waits for a person, however long', async (_what, how) => {
    charge = how

    expect(await drain()).toEqual(['suspended'])
    expect(await steps()).toEqual(['charge inDoubt'])
    expect(await test.explain(workId)).toMatchObject({
      reasons: expect.arrayContaining([
        expect.objectContaining({
          kind: 'inDoubt',
          since: expect.any(String) as string,
          until: null,
        }),
      ]) as unknown,
    })
    await test.advance({ weeks: 100 })
    expect(await drain()).toEqual([])
    expect(charges).toBe(1)
  })

  it('goes on with the result of a person who says that it happened, on record', async () => {
    charge = isDown
    await drain()
    const which = { workId, step: 'charge' }

    expect(await test.answerDoubt(which, { ...by, happened: true, result: { id: 'r9' } })).toBe(
      'answered',
    )
    expect(await test.answerDoubt(which, { ...by, happened: false })).toBe('notInDoubt')
    expect(await drain()).toEqual(['success'])
    expect(charges).toBe(1)
    expect(receipts.at(-1)).toEqual({ id: 'r9' })
    expect(
      (await own.query('select "action", "actor", "reason", "workId" from "JobAction"')).rows,
    ).toEqual([
      {
        action: 'answerDoubt',
        actor: by.actor,
        reason: `charge: it did happen; ${by.reason}`,
        workId,
      },
    ])
  })

  it('is called again where a person says that it did not happen', async () => {
    charge = () => (charges === 1 ? isDown() : { id: 'r2' })
    await drain()

    await test.answerDoubt({ workId, step: 'charge' }, { ...by, happened: false })
    expect(await drain()).toEqual(['success'])
    expect(charges).toBe(2)
    expect(receipts.at(-1)).toEqual({ id: 'r2' })
  })

  it('is what verify finds: its result', async () => {
    charge = isDown
    verify = ({ key }) => ({ done: { id: key } })

    expect(await drain()).toEqual(['success'])
    expect(charges).toBe(1)
    expect(receipts.at(-1)!.id).toHaveLength(32)
  })

  it('is a failure like another where verify finds that it did not happen', async () => {
    charge = () => (charges === 1 ? isDown() : { id: 'r2' })
    verify = () => 'absent'

    expect(await drain()).toEqual(['handler_failed'])
    expect(await steps()).toEqual(['charge retrying'])
    await test.advance({ seconds: 5 })
    expect(await drain()).toEqual(['success'])
    expect(charges).toBe(2)
  })

  it('waits for a person where verify does not know, and where it fails too often', async () => {
    charge = isDown
    verify = () => 'unknown'
    expect(await drain()).toEqual(['suspended'])

    await test.answerDoubt({ workId, step: 'charge' }, { ...by, happened: false })
    verify = isDown
    expect(await drain()).toEqual(['handler_failed'])
    await test.advance({ minutes: 5 })
    expect(await drain()).toEqual(['handler_failed'])
    await test.advance({ minutes: 5 })
    expect(await drain()).toEqual(['suspended'])
    expect(await steps()).toEqual(['charge inDoubt'])
    expect(charges).toBe(2)
  })

  describe('of work that somebody cancels', () => {
    const cancel = () => test.cancelWork({ job: pay, ids: [workId] }, by)

    it('is not called again where verify finds that it did not happen', async () => {
      charge = isDown
      await drain()
      await cancel()
      verify = () => 'absent'

      expect(await drain()).toEqual(['cancelled'])
      expect(charges).toBe(1)
    })

    it('is looked up before the work ends, though no step of it has a memo', async () => {
      charge = isDown
      await drain()
      // As after the death of its worker, of which the row of the effect alone is left.
      await own.query('update "JobWork" set "resumptions" = null, "attempt" = 2')
      await cancel()

      expect(await drain()).toEqual(['suspended'])
      expect(await steps()).toEqual(['charge inDoubt'])
    })
  })

  it.each(['beginning', undefined] as const)(
    'stays in doubt where a dead letter goes on from %j, under the key with which it was called',
    async (from) => {
      const keys: string[] = []
      charge = ({ key }) => {
        keys.push(key)
        return isDown()
      }
      await drain()
      await own.query(`
        with gone as (delete from "JobWork" returning *)
        insert into "JobDeadLetter" ("id", "name", "errorCode", "errorMessage", "bytes", "payload", "resumptions", "enqueuedAt")
        select "id", "name", 'worker_lost', 'x', "bytes", "payload", "resumptions", "enqueuedAt" from gone`)
      verify = ({ key }) => {
        keys.push(key)
        return { done: { id: 'r1' } }
      }

      await test.redriveDeadLetters({ ids: [workId] }, { ...by, ...(from && { from }) })
      expect(await drain()).toEqual(['success'])
      expect(charges).toBe(1)
      expect(keys[1]).toBe(keys[0])
    },
  )

  it('is answered once, whatever a worker does meanwhile', async () => {
    charge = isDown
    await drain()
    const which = { workId, step: 'charge' }
    let second: ReturnType<typeof test.answerDoubt> | undefined
    const first = await client.$transaction(async (tx) => {
      const how = { ...by, happened: true, result: { id: 'r1' } }
      const answer = await test.answerDoubt(which, how, { tx })
      second = test.answerDoubt(which, { ...by, happened: false })
      // No worker takes it while an answer is open.
      expect(await drain()).toEqual([])
      return answer
    })

    expect([first, await second]).toEqual(['answered', 'notInDoubt'])
    expect(await drain()).toEqual(['success'])
  })
})
