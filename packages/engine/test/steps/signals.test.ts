import { openForTests } from '@roundsman/testing'
import { beforeEach, describe, expect, expectTypeOf, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import {
  ArgumentError,
  defineJob,
  defineSignal,
  type JobError,
  type DurableContext,
  type StepsOf,
} from '../../src/index.ts'
import { openTestJobs } from '../../src/testing.ts'
import type { PlainTransaction } from '../fixtures/plainClient.ts'
import { useOwnDatabase } from '../useOwnDatabase.ts'
import { usePlainClient } from '../usePlainClient.ts'

const approved = defineSignal({ name: 'approved', payload: z.object({ by: z.string() }) })
const pinged = defineSignal({ name: 'pinged' })
const order = defineJob({
  name: 'order',
  payload: z.strictObject({ id: z.string() }),
  retry: { limit: 0 },
  steps: { approval: {}, second: {}, third: { signal: pinged }, ship: {} },
})
type Context = DurableContext<{ id: string }, PlainTransaction, StepsOf<typeof order>>

const { database, client } = usePlainClient()
let handle: (context: Context) => Promise<void>
let answers: unknown[]
const test = openForTests(() =>
  openTestJobs({
    ...{ databaseUrl: database.url, client, jobs: [order] },
    handlers: { order: (context: Context) => handle(context) },
  }),
)
const own = useOwnDatabase(database, test)

beforeEach(async () => {
  await test.reset()
  answers = []
  handle = async ({ step, payload: { id } }) => {
    const answer = await step.waitFor('approval', approved, { key: id, timeout: { days: 7 } })
    await step.run('ship', () => void answers.push(`${id} ${answer?.by ?? 'nobody'}`))
  }
})

const start = async (id = 'o1') => (await test.enqueueNow(order, { id })).workId
const send = (id: string, by = 'ada', key = 'o1') =>
  test.signalNow(approved, { key, id, payload: { by } })
const drain = async () => (await test.drain()).map(({ status, error }) => error?.code ?? status)
const signals = async () =>
  (
    await own.query(
      `select "id", "takenBy"::text, "isFresh" from "JobSignal" order by "createdAt", "id"`,
    )
  ).rows

describe('a signal', () => {
  it('says who has sent it, where somebody has, and that is on record with the work that waits', async () => {
    const workId = await start()
    await drain()
    const by = { actor: 'ada@example.com', reason: 'they have paid' }
    const sent = { key: 'o1', id: 's1', payload: { by: 'ada' } }
    await test.signalNow(approved, { ...sent, ...by })
    expect(await test.signalNow(approved, { ...sent, ...by })).toBe('duplicate')
    await test.signalNow(approved, { ...sent, ...by, key: 'nobody waits' })
    await drain()

    const [approval] = await test.steps(workId)
    expect(approval?.answer).toMatchObject({ ...by, happened: null })
    const { rows } = await own.query(
      'select "name", "workId"::text, "actor", "reason" from "JobAction" order by "at", "workId"',
    )
    expect(rows).toEqual([
      { name: 'order', workId, actor: by.actor, reason: `approved of o1; ${by.reason}` },
      {
        ...{ name: '', workId: null, actor: by.actor },
        reason: `approved of nobody waits; ${by.reason}`,
      },
    ])
  })

  it('that code has sent names nobody, and a time-out has no answer', async () => {
    const first = await start()
    await drain()
    await send('s1')
    await drain()
    expect((await test.steps(first))[0]?.answer).toMatchObject({ actor: null, reason: null })
    const second = await start('o2')
    await drain()
    await test.advance({ days: 7 })
    await drain()
    expect((await test.steps(second))[0]).toMatchObject({ state: 'done', answer: null })
  })

  it('of another kind than its step declares is refused', async () => {
    handle = async ({ step }) => void (await step.waitFor('third', approved, { key: 'o1' }))
    await start()
    const [run] = await test.drain()
    expect(run?.error?.message).toBe('signal is approved; step third declares pinged')
  })

  it('ends a wait that began before it', async () => {
    const workId = await start()
    expect(await drain()).toEqual(['suspended'])

    expect(await send('s1')).toBe('stored')
    expect(await drain()).toEqual(['success'])
    expect(answers).toEqual(['o1 ada'])
    expect(await signals()).toEqual([{ id: 's1', takenBy: workId, isFresh: false }])
    expect(await test.steps(workId)).toMatchObject([
      { name: 'approval', kind: 'wait', state: 'done', signal: 'approved', key: 'o1' },
      { name: 'ship', state: 'done', signal: null },
    ])
  })

  it('ends a wait that begins after it', async () => {
    await send('s1')
    await test.drain()
    await start()

    expect(await drain()).toEqual(['suspended', 'success'])
    expect(answers).toEqual(['o1 ada'])
  })

  it('is stored once for each id', async () => {
    expect(await send('s1')).toBe('stored')
    expect(await send('s1', 'bob')).toBe('duplicate')
    expect(await send('s1', 'bob', 'o2')).toBe('stored')
    await start()
    await drain()

    expect(answers).toEqual(['o1 ada'])
    expect(await send('s1')).toBe('duplicate')
  })

  it('that came before the time-out ends the wait, though nobody has looked in between', async () => {
    await start()
    await drain()
    await test.advance({ days: 6 })
    await send('s1')
    await test.advance({ days: 2 })

    // As a worker does that starts then, and claims before it looks.
    await own.query(`update "JobStep" set "isFresh" = false`)
    await own.query(`update "JobSignal" set "isFresh" = false`)
    await drain()
    expect(answers).toEqual(['o1 ada'])
  })

  it('that came before a sleep beside its wait was over wins', async () => {
    const winners = new Set<string>()
    handle = async ({ step }) => {
      const answer = step.waitFor('approval', approved, { key: 'o1' }).then(() => 'signal')
      winners.add(
        await Promise.race([step.sleep('second', { hours: 2 }).then(() => 'sleep'), answer]),
      )
    }
    await start()
    await drain()
    await test.pauseQueue('order', { actor: 'ada', reason: 'a test' })
    await test.advance({ hours: 1 })
    await send('s1')
    await test.advance({ hours: 2 })
    await drain()
    await test.resumeQueue('order', { actor: 'ada' })

    expect(await drain()).toEqual(['success'])
    expect([...winners]).toEqual(['signal'])
  })

  it('is given to its wait though very many others wait that run', async () => {
    await start()
    await drain()
    // As work does that is claimed anew, and whose waits nobody has looked at.
    await own.query(
      `insert into "JobStep" ("workId", "name", "kind", "runId", "startedAt", "signal", "key", "isFresh")
       select work, 'approval', 'wait', work, now(), 'approved', work::text, true
       from (select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid as work from generate_series(1, 1100) n) one`,
    )
    await own.query(
      `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
       select gen_random_uuid(), 'order', 'w9', now(), 'infinity', ids, array_fill(now(), array[cardinality(ids)])
       from (select array_agg("workId") as ids from "JobStep" where "runId" = "workId" and "isFresh") one`,
    )
    await send('s1')

    await drain()
    expect(answers).toEqual(['o1 ada'])
  })

  it('counts once its transaction has committed, and not where that is rolled back', async () => {
    await start()
    await drain()
    await client
      .$transaction(async (tx) => {
        await test.signal(tx, approved, { key: 'o1', id: 's1', payload: { by: 'ada' } })
        throw new Error('no')
      })
      .catch(() => undefined)
    expect(await drain()).toEqual([])

    await client.$transaction((tx) =>
      test.signal(tx, approved, { key: 'o1', id: 's1', payload: { by: 'bob' } }),
    )
    expect(await drain()).toEqual(['success'])
    expect(answers).toEqual(['o1 bob'])
  })

  it('ends one wait, the oldest, and the next ends the next', async () => {
    handle = async ({ step, payload: { id } }) => {
      const answer = await step.waitFor('approval', approved, { key: 'all' })
      await step.run('ship', () => void answers.push(`${id} ${answer?.by}`))
    }
    for (const id of ['first', 'second', 'third']) {
      await start(id)
      await drain()
      await test.advance({ minutes: 1 })
    }

    await send('s1', 'ada', 'all')
    await drain()
    expect(answers).toEqual(['first ada'])
    await send('s2', 'bob', 'all')
    await send('s3', 'eve', 'all')
    await send('s4', 'joe', 'all')
    await drain()
    expect(answers.map(String).toSorted()).toEqual(['first ada', 'second bob', 'third eve'])
    await start('fourth')
    await drain()
    expect(answers.at(-1)).toBe('fourth joe')
  })

  it('of another key or name ends no wait', async () => {
    await start()
    await drain()
    await send('s1', 'ada', 'o2')
    await test.signalNow(pinged, { key: 'o1', id: 's1' })

    expect(await drain()).toEqual([])
  })

  it('without a payload is told apart from a time-out', async () => {
    const got: unknown[] = []
    handle = async ({ step, payload: { id } }) => {
      got.push(await step.waitFor('third', pinged, { key: id, timeout: { days: 7 } }))
    }
    await start()
    await test.signalNow(pinged, { key: 'o1', id: 's1' })
    await drain()
    expect(got).toEqual([{}])
    for (const payload of [null, { toJSON: () => null }])
      await expect(test.signalNow(pinged, { key: 'o1', id: 's2', payload })).rejects.toMatchObject({
        code: 'payload_invalid',
        message: 'payload of pinged: must not be null, which waitFor returns after its time-out',
      })
  })

  it('whose payload its schema refuses is not sent', async () => {
    const wrong = { key: 'o1', id: 's1', payload: { by: 1 } }
    await expect(test.signalNow(approved, wrong as never)).rejects.toMatchObject({
      code: 'payload_invalid',
      message: 'payload of approved: by: Invalid input: expected string, received number',
    })
    await expect(test.signalNow(pinged, { key: '', id: 's1' })).rejects.toThrow(ArgumentError)
    await expect(test.signalNow(pinged, { key: 'ä'.repeat(101), id: 's1' })).rejects.toThrow(
      'key must be a text of 1 to 200 bytes',
    )
    expect(await signals()).toEqual([])
  })
})

describe('a wait', () => {
  it('of a step with a schema is over with null after its time-out', async () => {
    const schemed = defineJob({
      name: 'schemed',
      steps: { approval: { result: z.object({ by: z.string() }) }, ship: {} },
    })
    const seen: unknown[] = []
    const opened = await openTestJobs({
      ...{ databaseUrl: database.url, client, jobs: [schemed] },
      handlers: {
        async schemed({ step }) {
          seen.push(await step.waitFor('approval', approved, { key: 'o1', timeout: { days: 1 } }))
          await step.run('ship', () => 1)
        },
      },
    })
    onTestFinished(() => opened.close())
    await opened.enqueueNow(schemed, {})
    await opened.drain()
    await opened.advance({ days: 1 })

    expect((await opened.drain()).map(({ status }) => status)).toEqual(['success'])
    expect(new Set(seen)).toEqual(new Set([null]))
  })

  it('that a later version has for another key gets its signal', async () => {
    await start()
    await drain()
    handle = async ({ step }) => {
      const both = [
        step.sleep('second', { hours: 1 }),
        step.waitFor('approval', approved, { key: 'new' }).then((one) => answers.push(one?.by)),
      ]
      await Promise.all(both)
    }
    await own.query(`update "JobWork" set "dueAt" = now() - interval '1 second'`)
    await drain()
    await send('s1', 'eve', 'new')
    await test.advance({ hours: 1 })
    await drain()

    expect(answers).toContain('eve')
  })

  it('is over with null after its time-out, and leaves a later signal to the next', async () => {
    await start()
    await drain()
    await test.advance({ days: 7 })
    await send('s1')
    expect(await drain()).toEqual(['success'])
    expect(answers).toEqual(['o1 nobody'])

    await start()
    await drain()
    expect(answers).toEqual(['o1 nobody', 'o1 ada'])
  })

  it('without a time-out waits, and explain names its signal', async () => {
    handle = async ({ step }) => {
      const answer = await step.waitFor('approval', pinged, { key: 'o1' })
      expectTypeOf(answer).toEqualTypeOf<unknown>()
      answers.push(answer)
    }
    const workId = await start()
    await drain()
    await test.advance({ weeks: 52 })

    expect(await drain()).toEqual([])
    expect(await test.explain(workId)).toMatchObject({
      state: 'waiting',
      reasons: [
        { kind: 'noWorker' },
        { kind: 'step', text: 'step approval waits for the signal pinged of o1', until: null },
      ],
    })
    await test.signalNow(pinged, { key: 'o1', id: 's1', payload: [1] })
    expect(await drain()).toEqual(['success'])
    expect(answers).toEqual([[1]])
  })

  it('beside others is over when its signal comes, in each order', async () => {
    handle = async ({ step, payload: { id } }) => {
      const [one, two] = await Promise.all([
        step.waitFor('approval', approved, { key: `${id} a` }),
        step.waitFor('second', approved, { key: `${id} b` }),
      ])
      answers.push(`${one?.by} ${two?.by}`)
    }
    const x = await start('x')
    await start('y')
    await drain()
    const reasons = (await test.explain(x))?.reasons.map(({ text }) => text)
    expect(reasons?.slice(1)).toEqual([
      'step approval waits for the signal approved of x a',
      'step second waits for the signal approved of x b',
    ])
    await send('s1', '1', 'x b')
    await send('s2', '1', 'y a')
    expect(await drain()).toEqual(['suspended', 'suspended'])
    await send('s3', '2', 'x a')
    await send('s4', '2', 'y b')
    expect(await drain()).toEqual(['success', 'success'])

    expect(answers.map(String).toSorted()).toEqual(['1 2', '2 1'])
  })

  it('that loses a race stays open until the work ends, and takes no signal then', async () => {
    handle = async ({ step }) => {
      await Promise.race([
        step.waitFor('approval', approved, { key: 'o1' }),
        step.sleep('second', { days: 1 }),
      ])
    }
    await start()
    await drain()
    await test.advance({ days: 1 })
    expect(await drain()).toEqual(['success'])
    await send('s1')
    await drain()

    expect(await signals()).toEqual([{ id: 's1', takenBy: null, isFresh: false }])
  })

  it('of cancelled work throws, and leaves its signal', async () => {
    handle = async ({ step }) => {
      await step.waitFor('approval', approved, { key: 'o1' }).catch((error: unknown) => {
        answers.push((error as JobError).code)
      })
    }
    const workId = await start()
    await drain()
    await test.cancelWork({ job: order, ids: [workId] }, { actor: 'ada', reason: 'no' })
    await send('s1')
    await drain()

    expect(answers).toEqual(['cancelled'])
    expect(await signals()).toMatchObject([{ takenBy: null }])
  })

  it('of a dead letter is given no signal, and gets it when the letter is retried', async () => {
    let isBroken = true
    handle = async ({ step }) => {
      const wait = step.waitFor('approval', approved, { key: 'o1' })
      await step.sleep('second', { days: 1 })
      if (isBroken) throw new Error('broken')
      answers.push((await wait)?.by)
    }
    await start()
    await drain()
    await test.advance({ days: 1 })
    expect(await drain()).toEqual(['handler_failed'])
    await send('s1')
    await drain()
    expect(await signals()).toMatchObject([{ takenBy: null }])

    isBroken = false
    await test.redriveDeadLetters('all', { actor: 'ada', reason: 'mended' })
    await drain()
    expect(answers).toEqual(['ada'])
  })

  it('whose payload the schema of a later version refuses ends the work', async () => {
    const before = defineSignal({ name: 'approved' })
    await start()
    await drain()
    await test.signalNow(before, { key: 'o1', id: 's1', payload: 5 })

    expect(await drain()).toEqual(['step_result_invalid'])
    expect(answers).toEqual([])
  })
})
