import { randomUUID } from 'node:crypto'
import { openForTests, waitFor } from '@roundsman/testing'
import { beforeEach, describe, expect, expectTypeOf, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { listDeadLetters } from '../../src/client.ts'
import {
  defineJob,
  JobError,
  RateLimited,
  StepFailed,
  type DurableContext,
  type StepCall,
  type StepsOf,
} from '../../src/index.ts'
import { LOAD_STEPS, type StepRow } from '../../src/queue/stepSql.ts'
import { openTestJobs } from '../../src/testing.ts'
import type { PlainTransaction } from '../fixtures/plainClient.ts'
import { usePlainClient } from '../usePlainClient.ts'
import { useOwnDatabase } from '../useOwnDatabase.ts'

const Receipt = z.object({ amount: z.number() })
const onboard = defineJob({
  name: 'onboard',
  payload: z.strictObject({ user: z.string() }),
  retry: { limit: 2, delayMs: 5_000 },
  steps: {
    welcome: {},
    trial: {},
    charge: { result: Receipt, retry: { limit: 1, delayMs: 60_000 } },
    remind: {},
    each: {},
  },
})
type Context = DurableContext<{ user: string }, PlainTransaction, StepsOf<typeof onboard>>
type Handle = (context: Context) => Promise<void>

const limited = defineJob({
  name: 'limited',
  retry: { limit: 0 },
  deadlineMs: 2 * 86_400_000,
  steps: { a: {}, b: {} },
})

/** What the next runs do. */
let handle: Handle
let handleSlow: (
  context: DurableContext<Record<string, never>, PlainTransaction, StepsOf<typeof limited>>,
) => Promise<void>
let passes = 0

const { database, client } = usePlainClient()
const test = openForTests(() =>
  openTestJobs({
    databaseUrl: database.url,
    client,
    jobs: [onboard, limited],
    handlers: {
      limited: (context) => handleSlow(context),
      async onboard(context) {
        passes++
        await handle(context)
      },
    },
  }),
)
const own = useOwnDatabase(database, test)
/** In which a pass goes on after a memo. */
async function openUncut(handler: Handle) {
  const opened = await openTestJobs({
    ...{ databaseUrl: database.url, client, jobs: [onboard], crash: 'never' },
    handlers: { onboard: handler },
  })
  onTestFinished(() => opened.close())
  return opened
}

beforeEach(async () => {
  await test.reset()
  passes = 0
})

const enqueue = async () =>
  (await client.$transaction((tx) => test.enqueue(tx, onboard, { user: 'ada' }))).workId

/** Runs what is due with this handler. */
async function run(handler: Handle): Promise<string[]> {
  handle = handler
  return (await test.drain()).map(({ status, error }) => error?.code ?? status)
}

const letters = async () => (await listDeadLetters(test.reader, { limit: 10 })).deadLetters
const rows = async () =>
  (
    await own.query(
      `select "name", "item", "kind", "seq", "failures", "result", "error" ->> 'code' as "code" from "JobStep" order by "seq", "name", "item"`,
    )
  ).rows

describe('step.run', () => {
  it('calls each step once, however often the handler runs', async () => {
    const calls: string[] = []
    await enqueue()

    expect(
      await run(async ({ step }) => {
        await step.run('welcome', () => void calls.push('welcome'))
        await step.run('remind', () => void calls.push('remind'))
      }),
    ).toEqual(['success'])
    expect(calls).toEqual(['welcome', 'remind'])
    // The pass after the last memo ends it.
    expect(passes).toBe(3)
    expect(await rows()).toMatchObject([
      { name: 'welcome', kind: 'run', seq: 1, failures: 0, code: null },
      { name: 'remind', kind: 'run', seq: 2, failures: 0, code: null },
    ])
  })

  it('returns what JSON makes of a result, at the first time, too', async () => {
    await enqueue()
    const seen: unknown[] = []

    await run(async ({ step }) => {
      const made = await step.run('welcome', () => ({ at: new Date(0), gone: undefined, n: 1 }))
      expectTypeOf(made.at).toEqualTypeOf<string>()
      const receipt = await step.run('charge', () => ({ amount: 5, more: 1 }))
      expectTypeOf(receipt).toEqualTypeOf<{ amount: number }>()
      const nothing = await step.run('remind', () => undefined)
      seen.push({ made, receipt, nothing })
    })
    expect(seen).toEqual([
      { made: { at: '1970-01-01T00:00:00.000Z', n: 1 }, receipt: { amount: 5 }, nothing: null },
    ])
  })

  it('returns keys of objects in one order, in each pass', async () => {
    await enqueue()
    const first: unknown[] = []
    const work: Handle = async ({ step }) => {
      const made = await step.run('welcome', () => ({ zebra: 1, ant: 2 }))
      first.push(Object.keys(made)[0])
      const inTransaction = await step.tx('remind', async () => ({ zebra: 1, ant: 2 }))
      first.push(Object.keys(inTransaction)[0])
      await step.sleep('trial', { hours: 1 })
    }

    const uncut = await openUncut(work)
    await uncut.enqueueNow(onboard, { user: 'ada' })
    await uncut.drain()
    await uncut.advance({ hours: 1 })
    await uncut.drain()
    expect(new Set(first).size).toBe(1)
    expect(first).toHaveLength(4)
  })

  it('keeps what the steps before it have done when the handler fails', async () => {
    await enqueue()
    let welcomes = 0
    let isBroken = true
    const work: Handle = async ({ step }) => {
      await step.run('welcome', () => ++welcomes)
      if (isBroken) throw new Error('between steps')
      await step.run('remind', () => 1)
    }

    expect(await run(work)).toEqual(['handler_failed'])
    isBroken = false
    await test.advance({ seconds: 5 })
    expect(await run(work)).toEqual(['success'])
    expect(welcomes).toBe(1)
  })

  it('gives each step a key that retries and resumptions do not change', async () => {
    await enqueue()
    const keys: string[] = []
    const work: Handle = async ({ step }) => {
      for (const item of ['a', 'b'])
        await step.run(
          'each',
          ({ key }: StepCall) => {
            keys.push(key)
            if (keys.length === 2) throw new Error('once')
          },
          { item },
        )
    }

    await run(work)
    await test.advance({ seconds: 5 })
    expect(await run(work)).toEqual(['success'])
    expect(keys).toHaveLength(3)
    expect(keys[1]).toBe(keys[2])
    expect(keys[0]).not.toBe(keys[1])
  })

  it('settles memos in the order in which they were written, so that a race has one winner', async () => {
    await enqueue()
    const winners: string[] = []
    const gates = { welcome: Promise.withResolvers<void>(), remind: Promise.withResolvers<void>() }

    await run(async ({ step }) => {
      const welcome = step.run('welcome', async () => {
        await gates.welcome.promise
        return 'welcome'
      })
      const remind = step.run('remind', async () => {
        gates.welcome.resolve()
        return 'remind'
      })
      winners.push(await Promise.race([welcome, remind]))
      await Promise.all([welcome, remind])
      await step.run('each', () => 1)
    })
    expect(new Set(winners).size).toBe(1)
    expect(winners.length).toBeGreaterThan(1)
  })
})

describe('a step that fails', () => {
  it('ends the attempt without the handler seeing it, until its own retries are used up', async () => {
    await enqueue()
    const caught: unknown[] = []
    const work: Handle = async ({ step }) => {
      try {
        await step.run('charge', () => {
          throw new JobError('declined', 'No money')
        })
      } catch (error) {
        caught.push(error)
        throw error
      }
    }

    expect(await run(work)).toEqual(['declined'])
    expect(caught).toEqual([])
    expect(await rows()).toMatchObject([{ name: 'charge', seq: null, failures: 1 }])
    await test.advance({ seconds: 59 })
    expect(await run(work)).toEqual([])
    await test.advance({ seconds: 1 })
    expect(await run(work)).toEqual(['step_failed'])
    expect(caught.at(-1)).toBeInstanceOf(StepFailed)
    expect(caught.at(-1)).toMatchObject({ step: 'charge', stepCode: 'declined' })
    expect(await letters()).toMatchObject([
      { error: { code: 'step_failed', message: 'Step "charge" failed with declined: No money' } },
    ])
  })

  it('is called again by a retry of the dead letter that names it, though a later failure was caught', async () => {
    const workId = await enqueue()
    const called: string[] = []
    let isBroken = true
    const fail = (what: string) => () => {
      called.push(what)
      if (isBroken) throw new JobError('declined', what, { retryable: false })
      return { amount: 1 }
    }
    const work: Handle = async ({ step }) => {
      try {
        await step.run('charge', fail('charge'))
      } catch (error) {
        await step.run('remind', fail('remind')).catch(() => undefined)
        throw new Error('The order failed', { cause: error })
      }
    }

    expect(await run(work)).toEqual(['handler_failed'])
    for (let tries = 0; tries < 2; tries++) {
      await test.advance({ minutes: 1 })
      await run(work)
    }
    isBroken = false
    called.length = 0
    await test.redriveDeadLetters({ ids: [workId] }, { actor: 'ada', reason: 'mended' })
    expect(await run(work)).toEqual(['success'])
    expect(called).toEqual(['charge'])
  })

  it('is thrown alike in each pass, and what catches it goes on', async () => {
    await enqueue()
    let calls = 0
    const caught: unknown[] = []

    expect(
      await run(async ({ step }) => {
        try {
          await step.run('charge', () => {
            calls++
            throw new JobError('declined', 'No money', { retryable: false })
          })
        } catch (error) {
          caught.push((error as StepFailed).message)
          await step.run('remind', () => 'sorry')
        }
      }),
    ).toEqual(['success'])
    expect(calls).toBe(1)
    expect(new Set(caught).size).toBe(1)
    expect(caught.length).toBeGreaterThan(1)
  })

  it('lets its siblings end, and keeps what they have done', async () => {
    await enqueue()
    let isBroken = true
    let welcomes = 0
    const work: Handle = async ({ step }) => {
      const gate = Promise.withResolvers<void>()
      await Promise.all([
        step.run('charge', () => {
          setImmediate(gate.resolve)
          if (isBroken) throw new Error('down')
          return { amount: 1 }
        }),
        step.run('welcome', async () => {
          await gate.promise
          welcomes++
        }),
      ])
    }

    expect(await run(work)).toEqual(['handler_failed'])
    expect(await rows()).toMatchObject([
      { name: 'welcome', seq: expect.any(Number) },
      { name: 'charge' },
    ])
    isBroken = false
    await test.advance({ minutes: 1 })
    expect(await run(work)).toEqual(['success'])
    expect(welcomes).toBe(1)
  })

  it('costs the job no retry, and a new memo forgives the failures before it', async () => {
    await enqueue()
    const failures: string[] = []
    const work: Handle = async ({ step }) => {
      for (const item of ['a', 'b', 'c']) {
        await step.run('each', () => item, { item })
        if (failures.push(item) && failures.filter((one) => one === item).length <= 2)
          throw new Error('between steps')
      }
    }

    const ends: string[] = []
    for (let n = 0; n < 12; n++) {
      ends.push(...(await run(work)))
      await test.advance({ minutes: 5 })
    }
    expect(ends.at(-1)).toBe('success')
    expect(await letters()).toEqual([])
  })

  it('waits as long as a service says that has refused more, at no cost', async () => {
    await enqueue()
    let isRefused = true
    const work: Handle = async ({ step }) => {
      await step.run('welcome', () => {
        if (isRefused) throw new RateLimited({ retryAfter: 30_000 })
      })
    }

    expect(await run(work)).toEqual(['rate_limited'])
    expect(await rows()).toEqual([])
    isRefused = false
    await test.advance({ seconds: 30 })
    expect(await run(work)).toEqual(['success'])
  })

  it('with a result that JSON does not have fails at once', async () => {
    await enqueue()

    expect(
      await run(async ({ step }) => {
        await step.run('welcome', () => 10n)
      }),
    ).toEqual(['step_failed'])
    expect(await letters()).toMatchObject([
      { error: { message: expect.stringContaining('result_unstorable') as string } },
    ])
  })
})

describe('a definition of steps', () => {
  const define = (more: object) => () => defineJob({ name: 'job', steps: { mail: {} }, ...more })

  it.each<[string, object, string]>([
    ['isolation', { isolate: true }, 'isolate does not go with steps'],
    ['a guard', { guard: { maxRows: 1 } }, 'guard does not go with steps'],
    ['dry runs', { dryRun: true }, 'dryRun does not go with steps'],
    [
      'keys in order',
      { partition: { key: () => 'k', order: 'fifo' } },
      'partition.order does not go with steps',
    ],
    ['no step', { steps: {} }, 'steps must name steps'],
    ['a name of two steps', { steps: { a: {}, b: { was: ['a'] } } }, 'steps has a twice'],
  ])('is refused with %s', (_what, more, message) => {
    expect(define(more)).toThrow(message)
  })
})

describe('a handler that calls steps in a way that a replay could not follow', () => {
  const twice: Handle = async ({ step }) => {
    await step.run('welcome', () => 1)
    await step.run('welcome', () => 2).catch(() => undefined)
  }
  const nested: Handle = async ({ step }) => {
    await step
      .run('welcome', async () => {
        await step.run('remind', () => 1)
      })
      .catch(() => undefined)
  }
  const unknown: Handle = async ({ step }) => {
    await step.run('unknown' as 'welcome', () => 1).catch(() => undefined)
  }

  const halfItem: Handle = async ({ step }) => {
    await step.sleep('trial', { hours: 1 }, { item: '\ud800' })
  }
  const nulItem: Handle = async ({ step }) => {
    await step.tx('remind', async () => 1, { item: 'a\0b' }).catch(() => undefined)
  }
  const nestedInTransaction: Handle = async ({ step }) => {
    await step
      .tx('remind', async () => {
        await step.run('welcome', () => 1)
      })
      .catch(() => undefined)
  }

  it.each([
    ['step_item', halfItem],
    ['step_item', nulItem],
    ['step_nested', nestedInTransaction],
    ['step_repeated', twice],
    ['step_nested', nested],
    ['step_unknown', unknown],
  ])('ends the work with %s, which no catch takes', async (code, work) => {
    await enqueue()

    expect(await run(work)).toEqual([code])
    expect(await letters()).toMatchObject([{ error: { code } }])
    // Of a step's transaction.
    const isOpen = `select from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`
    await waitFor(async () => (await own.query(isOpen)).rows.length === 0)
  })

  it('is told so where it enqueues or changes rows outside of a step', async () => {
    await enqueue()

    expect(
      await run(async (context) => {
        // @ts-expect-error it is not in the type
        await context.batch(async () => undefined)
      }),
    ).toEqual(['step_only'])
  })
})

describe('step.sleep', () => {
  it('is ended by no run whose claim is gone', async () => {
    const workId = await enqueue()
    await run(async ({ step }) => step.sleep('trial', { hours: 1 }))
    await test.advance({ hours: 2 })
    const load = async (claimId: string) => {
      const { rows: loaded } = await own.query<StepRow>(LOAD_STEPS, [workId, claimId, 'w1'])
      return loaded.map(({ endedAt }) => endedAt !== null)
    }
    expect(await load(randomUUID())).toEqual([false])
    const { rows: claims } = await own.query<{ id: string }>(
      `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
       values (gen_random_uuid(), 'onboard', 'w1', now(), 'infinity', '{}', '{}') returning "id"`,
    )
    expect(await load(claims[0]?.id ?? '')).toEqual([true])
  })

  it('suspends the work, and goes on when it is over', async () => {
    const workId = await enqueue()
    const calls: string[] = []
    const work: Handle = async ({ step, now }) => {
      await step.run('welcome', () => void calls.push('welcome'))
      await step.sleep('trial', { days: 14 })
      await step.run('remind', () => void calls.push(`remind ${now().toISOString()}`))
    }
    const start = test.now()

    expect(await run(work)).toEqual(['suspended'])
    expect(await test.enqueued(onboard)).toMatchObject([
      { workId, attempt: 1, startAfter: new Date(start.getTime() + 14 * 86_400_000) },
    ])
    await test.advance({ days: 13 })
    expect(await run(work)).toEqual([])
    await test.advance({ days: 1 })
    expect(await run(work)).toEqual(['success'])
    expect(calls).toEqual([
      'welcome',
      `remind ${new Date(start.getTime() + 14 * 86_400_000).toISOString()}`,
    ])
    expect(
      (await own.query('select "status", "attempt" from "JobRun" order by "startedAt", "status"'))
        .rows,
    ).toEqual([
      { status: 'suspended', attempt: 1 },
      { status: 'success', attempt: 1 },
    ])
  })

  it('that is open while a step beside it fails ends when it would have ended', async () => {
    await enqueue()
    let isBroken = true
    const seen: unknown[] = []
    const work: Handle = async ({ step }) => {
      const timeout = step.sleep('trial', { seconds: 90 }).then(() => 'over')
      const charged = step.run('charge', () => {
        if (isBroken) throw new Error('down')
        return { amount: 1 }
      })
      seen.push(await Promise.race([timeout, charged]))
    }

    expect(await run(work)).toEqual(['handler_failed'])
    await test.advance({ seconds: 60 })
    await test.advance({ seconds: 31 })
    isBroken = false
    expect(await run(work)).toEqual(['success'])
    expect(seen.at(-1)).toBe('over')
  })

  it('runs no code after it, neither catch nor finally, and no race takes it', async () => {
    await enqueue()
    const ran: string[] = []
    const work: Handle = async ({ step, signal }) => {
      signal.addEventListener('abort', () => ran.push((signal.reason as JobError).code))
      try {
        await Promise.race([step.sleep('trial', { hours: 2 }), step.sleep('welcome', { hours: 1 })])
        ran.push('over')
      } catch {
        ran.push('catch')
      } finally {
        ran.push('finally')
      }
    }

    expect(await run(work)).toEqual(['suspended'])
    expect(ran).toEqual(['suspended'])
    await test.advance({ hours: 1 })
    expect(await run(work)).toEqual(['success'])
    expect(ran.slice(1)).toEqual(['over', 'finally'])
  })

  it('beside which the handler awaits something else fails the work, and names the step', async () => {
    await enqueue()
    const late = Promise.withResolvers<void>()
    const work: Handle = async ({ step }) => {
      await Promise.race([step.sleep('trial', { days: 9 }), late.promise])
      await step.run('remind', () => 1)
    }
    expect(await run(work)).toEqual(['suspended'])
    late.resolve()

    await waitFor(async () => (await test.enqueued(onboard))[0]!.startAfter <= test.now())
    expect(await run(work)).toEqual(['await_beside_wait'])
    expect(await letters()).toMatchObject([
      { error: { message: expect.stringContaining('Step "remind"') as string } },
    ])
  })

  it.each([
    ['returns', () => undefined],
    ['throws', () => Promise.reject(new TypeError('no answer'))],
  ])('beside which the handler %s fails the work', async (_how, end) => {
    await enqueue()
    const late = Promise.withResolvers<void>()
    const work: Handle = async ({ step }) => {
      await Promise.race([step.sleep('trial', { days: 9 }), late.promise])
      await end()
    }
    expect(await run(work)).toEqual(['suspended'])
    late.resolve()

    await waitFor(async () => (await test.enqueued(onboard))[0]!.startAfter <= test.now())
    expect(await run(work)).toEqual(['await_beside_wait'])
    expect(await letters()).toMatchObject([
      { error: { message: expect.stringContaining('The handler ended') as string } },
    ])
  })

  it('beside which the handler ends since its signal is aborted goes on', async () => {
    await enqueue()
    const ended = Promise.withResolvers<void>()
    const work: Handle = async ({ step, signal }) => {
      const aborted = new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
      })
      try {
        await Promise.race([step.sleep('trial', { days: 9 }), aborted])
      } finally {
        ended.resolve()
      }
    }
    expect(await run(work)).toEqual(['suspended'])
    await ended.promise
    await test.advance({ days: 9 })
    expect(await run(work)).toEqual(['success'])
  })

  it('until an instant in the past takes no time', async () => {
    await enqueue()
    expect(
      await run(async ({ step }) => {
        await step.sleepUntil('trial', new Date(0))
        await step.sleep('remind', 0)
      }),
    ).toEqual(['suspended', 'suspended', 'success'])
  })

  it('keeps the unique key, and counts no attempt', async () => {
    const options = { uniqueKey: 'ada' }
    const add = () =>
      client.$transaction((tx) => test.enqueue(tx, onboard, { user: 'ada' }, options))
    await add()
    const work: Handle = async ({ step, run: { attempt } }) => {
      for (const item of ['1', '2', '3']) await step.sleep('each', { hours: 1 }, { item })
      expect(attempt).toBe(1)
    }

    for (let n = 0; n < 3; n++) {
      expect(await run(work)).toEqual(['suspended'])
      expect(await add()).toMatchObject({ kind: 'alreadyQueued' })
      await test.advance({ hours: 1 })
    }
    expect(await run(work)).toEqual(['success'])
    expect(await add()).toMatchObject({ kind: 'enqueued' })
  })

  it('that nobody awaits yet does not end the run that a cancellation has undo its steps', async () => {
    const workId = await enqueue()
    const undone: string[] = []
    const work: Handle = async ({ step }) => {
      const deadline = step.sleep('trial', { days: 9 })
      try {
        await step.sleep('each', { days: 1 })
      } catch {
        await step.run('remind', () => void undone.push('undone'))
      }
      await deadline
    }
    await run(work)
    await test.cancelWork({ job: onboard, ids: [workId] }, { actor: 'ada', reason: 'a test' })

    expect(await run(work)).toEqual(['cancelled'])
    expect(undone).toEqual(['undone'])
  })

  it('does not wait in a run by hand', async () => {
    handle = async ({ step }) => step.sleep('trial', 1)
    await expect(test.run(onboard, { user: 'ada' })).rejects.toMatchObject({ code: 'wait_by_hand' })
  })
})

describe('a deadline', () => {
  const slow = (handler: typeof handleSlow) => {
    handleSlow = handler
    return client.$transaction((tx) => test.enqueue(tx, limited, {}))
  }
  const drain = async () => (await test.drain()).map(({ status, error }) => error?.code ?? status)

  it('ends work that waits, as a dead letter, and counts from its first start', async () => {
    await slow(async ({ step }) => {
      await step.run('a', () => 1)
      await step.sleep('b', { days: 9 })
    })
    await test.advance({ days: 1 })

    expect(await drain()).toEqual(['suspended'])
    await test.advance({ hours: 47 })
    expect(await drain()).toEqual([])
    await test.advance({ hours: 1 })
    expect(await drain()).toEqual(['deadline_exceeded'])
    expect(await letters()).toMatchObject([{ error: { code: 'deadline_exceeded' } }])
  })

  it('counts anew where a person retries the work', async () => {
    const { workId } = await slow(async ({ step }) => {
      await step.sleep('b', { hours: 47 })
      await step.sleep('a', { hours: 2 })
    })
    for (const hours of [0, 47, 2]) {
      await test.advance({ hours })
      await drain()
    }
    expect(await letters()).toHaveLength(1)

    const by = { actor: 'olga@example.com', reason: 'it may take longer' }
    await test.redriveDeadLetters({ ids: [workId] }, by)
    expect(await drain()).toEqual(['success'])
  })

  it('aborts what runs then, and lets what was cancelled undo its steps', async () => {
    const { workId } = await slow(async ({ step }) => {
      try {
        await step.sleep('b', { hours: 47 })
      } catch {
        await step.sleepUntil('a', new Date(0)).catch(() => undefined)
      }
    })
    await drain()
    await test.advance({ hours: 46 })
    await test.cancelWork(
      { job: limited, ids: [workId] },
      { actor: 'olga@example.com', reason: 'over' },
    )
    await test.advance({ days: 9 })
    expect(await drain()).toEqual(['cancelled'])
  })

  it('is for jobs with steps', () => {
    expect(() => defineJob({ name: 'plain', deadlineMs: 1 })).toThrow('deadlineMs')
  })
})

describe('step.tx', () => {
  const enqueueNext =
    (item: string): Handle =>
    async ({ step }) => {
      await step.tx('remind', async (_tx, { enqueue: add, count }) => {
        count({ reminded: 1 })
        await add(onboard, { user: item })
        return item
      })
    }

  it('commits its effects with its memo and its counts', async () => {
    await enqueue()
    let isFirst = true
    handle = async (context) => {
      if (!isFirst) return
      isFirst = false
      await enqueueNext('next')(context)
    }
    test.now()
    const ended = await test.drain()

    expect(ended.map(({ status }) => status)).toEqual(['success', 'success'])
    expect(ended[0]).toMatchObject({ details: { reminded: 1, batches: 1 } })
    expect(await rows()).toMatchObject([{ name: 'remind', kind: 'tx', seq: 1, result: 'next' }])
  })

  it('leaves nothing behind where it throws', async () => {
    await enqueue()
    const work: Handle = async (context) => {
      await context.step.tx('remind', async (_tx, { enqueue: add, count }) => {
        await add(onboard, { user: 'next' })
        count({ reminded: 1 })
        throw new JobError('refused', 'No', { retryable: false })
      })
    }

    expect(await run(work)).toEqual(['step_failed'])
    expect(await test.enqueued(onboard)).toEqual([])
  })

  it('is tried again at once where another transaction was in its way', async () => {
    await enqueue()
    let tries = 0
    expect(
      await run(async ({ step }) => {
        await step.tx('remind', async (tx) => {
          if (++tries < 3)
            await tx.$executeRawUnsafe(`do $$ begin raise serialization_failure; end $$`)
        })
      }),
    ).toEqual(['success'])
    expect(tries).toBe(3)
  })
})

it('work with 1,000 steps can go on, and one more ends it', async () => {
  let wanted = 999
  const uncut = await openUncut(async ({ step }) => {
    for (let n = 1; n <= wanted; n++) await step.run('each', () => n, { item: `${n}` })
    await step.sleep('trial', 1_000)
  })
  const enqueueOne = () => client.$transaction((tx) => uncut.enqueue(tx, onboard, { user: 'ada' }))
  await enqueueOne()
  const statuses = async () => (await uncut.drain()).map(({ status }) => status)
  expect(await statuses()).toEqual(['suspended'])
  await uncut.advance(1_000)
  expect(await statuses()).toEqual(['success'])

  wanted = 1_000
  await enqueueOne()
  expect(await uncut.drain()).toMatchObject([
    { status: 'failed', error: { code: 'steps_too_many' } },
  ])
})

it.each<[string, string, (step: Context['step']) => unknown]>([
  ['a call without a function', 'work must be', (step) => step.run('welcome', null as never)],
  [
    'options that are null',
    'options must be',
    (step) => step.run('welcome', () => 1, null as never),
  ],
  [
    'an option of no known name',
    'items is unknown',
    (step) => step.run('welcome', () => 1, { items: 'a' } as never),
  ],
  [
    'a transaction without a function',
    'work must be',
    (step) => step.tx('welcome', undefined as never),
  ],
  [
    'a name that is a symbol',
    'has no step Symbol(x)',
    (step) => step.run(Symbol('x') as never, () => 1),
  ],
  [
    'a count that is no number',
    'A batch counted',
    (step) => step.tx('charge', async (_tx, { count }) => count({ c: 'many' } as never)),
  ],
])('%s is refused by name', async (_what, message, call) => {
  await enqueue()
  await run(async ({ step }) => void (await call(step)))
  const found = await letters()
  const { rows: runs } = await own.query(
    `select "details" -> 'error' ->> 'message' as "message" from "JobRun"`,
  )
  expect(JSON.stringify([found, runs])).toContain(message)
})
