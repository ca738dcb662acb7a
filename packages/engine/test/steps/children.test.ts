import { openForTests, waitFor } from '@roundsman/testing'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import {
  ArgumentError,
  ChildFailed,
  defineJob,
  JobError,
  RateLimited,
  type ChildResult,
  type DurableContext,
  type StepsOf,
} from '../../src/index.ts'
import { LOAD_STEPS, type StepRow } from '../../src/queue/stepSql.ts'
import { openTestJobs } from '../../src/testing.ts'
import type { PlainTransaction } from '../fixtures/plainClient.ts'
import { useOwnDatabase } from '../useOwnDatabase.ts'
import { usePlainClient } from '../usePlainClient.ts'

const row = defineJob({
  name: 'row',
  payload: z.strictObject({ n: z.number() }),
  retry: { limit: 1, delayMs: 1_000 },
  result: z.number(),
})
const dated = defineJob({
  name: 'dated',
  payload: z.strictObject({ n: z.number() }),
  result: z.object({ at: z.coerce.date(), n: z.number().default(7) }),
})
const nested = defineJob({ name: 'nested', steps: { nap: {}, undo: {} }, retry: { limit: 0 } })
const parent = defineJob({
  name: 'parent',
  payload: z.strictObject({ count: z.number() }),
  retry: { limit: 0 },
  steps: { rows: {}, other: {}, nap: {} },
})
type Context = DurableContext<{ count: number }, PlainTransaction, StepsOf<typeof parent>>

const { database, client } = usePlainClient()
let handle: (context: Context) => Promise<unknown>
let work: (n: number) => Promise<number> | number
let seen: unknown[]
const test = openForTests(() =>
  openTestJobs({
    ...{ databaseUrl: database.url, client, jobs: [parent, row, dated, nested] },
    handlers: {
      async parent(context: Context) {
        await handle(context)
      },
      row: async ({ payload }) => await work(payload.n),
      dated: ({ payload: { n } }) => Promise.resolve({ at: new Date(n) } as never),
      async nested({ step }) {
        try {
          await step.sleep('nap', { days: 1 })
        } catch (error) {
          await step.run('undo', () => void seen.push('undone'))
          throw error
        }
      },
    },
  }),
)
const own = useOwnDatabase(database, test)

beforeEach(async () => {
  await test.reset()
  seen = []
  work = (n) => n * 10
  handle = async ({ step, payload: { count } }) => {
    const rows = await step.map('rows', row, payloads(count), { onFailure: 'collect' })
    seen.push([rows.succeeded, rows.failed, await all(rows.results())])
  }
})
afterEach(async () => {
  const { rows } = await own.query('select * from "JobChildLost"')
  if (rows.length > 0) throw new Error(`children are lost: ${JSON.stringify(rows)}`)
})

const payloads = (count: number) => Array.from({ length: count }, (_, n) => ({ n }))
async function all(results: AsyncIterable<ChildResult<unknown>>): Promise<unknown[]> {
  const listed: unknown[] = []
  for await (const one of results) listed.push(one.status === 'success' ? one.result : one.code)
  return listed
}
const ends = async () =>
  (await own.query('select "errorCode" as code from "JobChild" order by "at"')).rows.map(
    ({ code }) => code,
  )
const start = async (count = 3) => (await test.enqueueNow(parent, { count })).workId
const drain = async () =>
  (await test.drain()).map(({ name, status, error }) => `${name} ${error?.code ?? status}`)
/** Others wait then. */
const drainSome = (maxRuns: number) =>
  expect(test.drain({ maxRuns })).rejects.toThrow('work is still due')
const by = { actor: 'ada', reason: 'a test' }

describe('step.map', () => {
  it('waits for all children, and has their results in order', async () => {
    const workId = await start(12)

    expect((await drain()).at(-1)).toBe('parent success')
    expect(seen).toEqual([[12, 0, payloads(12).map(({ n }) => n * 10)]])
    expect(await test.steps(workId)).toMatchObject([{ name: 'rows', kind: 'map', state: 'done' }])
  })

  it('has what the schema of the children makes of their results', async () => {
    handle = async ({ step }) => {
      const rows = await step.map('rows', dated, payloads(2))
      seen = await all(rows.results())
      seen.push(await step.invoke('other', {}, dated, { n: 2 }))
    }
    await start()
    await drain()
    expect(seen).toEqual([0, 1, 2].map((n) => ({ at: new Date(n), n: 7 })))
  })

  it.each(['map', 'invoke'] as const)(
    'ends where today’s schema refuses a result: %s',
    async (how) => {
      const stricter = { ...row, result: z.number().max(5) }
      handle = async ({ step }) => {
        if (how === 'invoke') return await step.invoke('rows', {}, stricter, { n: 1 })
        return await all((await step.map('rows', stricter, payloads(2))).results())
      }
      await start()
      expect((await drain()).at(-1)).toBe('parent step_result_invalid')
    },
  )

  it('has its results read beside an open wait', async () => {
    handle = async ({ step }) => {
      const nap = step.sleep('nap', { days: 1 })
      seen = await all((await step.map('rows', row, payloads(3))).results())
      await step.run('other', () => 1)
      await nap
    }
    await start()
    expect((await drain()).at(-1)).toBe('parent suspended')
    await test.advance({ days: 1 })
    expect(await drain()).toEqual(['parent success'])
    expect(seen).toEqual([0, 10, 20])
  })

  it('without payloads is over at once', async () => {
    await start(0)
    expect(await drain()).toEqual(['parent success'])
    expect(seen).toEqual([[0, 0, []]])
  })

  it('throws the first failure once all have ended, each time alike', async () => {
    work = (n) => {
      if (n > 0) throw new JobError(`bad_${n}`, 'it broke', { retryable: false })
      return n
    }
    handle = async ({ step }) => {
      const rows = step.map('rows', row, payloads(3))
      const failed = await rows.catch((error: unknown) => error)
      seen.push([(failed as ChildFailed).childCode, failed instanceof ChildFailed])
      await step.run('other', () => 1)
    }
    await start()
    await drain()

    expect(seen).toEqual([
      ['bad_1', true],
      ['bad_1', true],
    ])
  })

  it('that nothing catches makes a dead letter', async () => {
    work = () => {
      throw new JobError('bad', 'it broke', { retryable: false })
    }
    handle = async ({ step }) => await step.map('rows', row, payloads(1))
    await start()

    expect((await drain()).at(-1)).toBe('parent child_failed')
  })

  it('counts the list of the first call', async () => {
    let count = 2
    handle = async ({ step }) => {
      const rows = await step.map('rows', row, payloads(count++), { onFailure: 'collect' })
      seen.push(rows.succeeded)
    }
    await start()
    await drain()

    expect(seen).toEqual([2])
    expect((await own.query('select count(*)::int as n from "JobChild"')).rows).toEqual([{ n: 2 }])
  })

  it('refuses payloads, and more than 10,000 of them', async () => {
    handle = async ({ step }) => {
      await step.map('rows', row, [{ n: 'x' as never }]).catch((error: unknown) => {
        seen.push((error as JobError).code)
      })
      await step.map('other', row, payloads(10_001)).catch((error: unknown) => {
        seen.push(error instanceof ArgumentError)
      })
    }
    await start()
    await drain()

    expect(seen.slice(-2)).toEqual(['step_failed', true])
    expect((await own.query('select from "JobChild"')).rows).toEqual([])
  })

  it('beside another wait ends when both have', async () => {
    handle = async ({ step }) => {
      const [rows] = await Promise.all([
        step.map('rows', row, payloads(2)),
        step.sleep('nap', { days: 1 }),
      ])
      seen.push(rows.succeeded)
    }
    await start()
    await drain()
    expect(seen).toEqual([])
    await test.advance({ days: 1 })
    await drain()
    expect(seen).toEqual([2])
  })
})

describe('step.invoke', () => {
  it('returns the result of its work', async () => {
    handle = async ({ step }) => {
      const one = await step.invoke('rows', { item: 'a' }, row, { n: 1 })
      const two = await step.invoke('rows', { item: 'b' }, row, { n: one })
      expectTypeOf(two).toEqualTypeOf<number>()
      seen.push([one, two])
    }
    await start()
    await drain()

    expect(seen).toEqual([[10, 100]])
  })

  it('throws ChildFailed with the code and the work', async () => {
    work = () => {
      throw new JobError('bad', 'it broke', { retryable: false })
    }
    handle = async ({ step }) => {
      await step.invoke('rows', {}, row, { n: 1 }).catch((error: unknown) => {
        const { childCode, workId } = error as ChildFailed
        seen.push(childCode, workId)
      })
    }
    await start()
    await drain()

    const { rows } = await own.query('select "workId"::text as id from "JobChild"')
    expect(seen).toEqual(['bad', rows[0]?.['id']])
  })
})

describe('a parent goes on, whatever becomes of a child', () => {
  /** What has become of the second of three children. */
  const second = async (change: (workId: string) => Promise<unknown>): Promise<unknown> => {
    await start()
    await drainSome(1)
    const { rows } = await own.query('select "workId"::text as id from "JobChild" order by "at"')
    await change(String(rows[1]?.['id']))
    for (let days = 0; days < 3; days++) {
      await test.drain()
      await test.advance({ days: 1 })
    }
    return seen[0]
  }

  it('a dead letter', async () => {
    work = (n) => {
      if (n === 1) throw new Error('broken')
      return n
    }
    expect(await second(async () => undefined)).toEqual([2, 1, [0, 'handler_failed', 2]])
  })

  it('cancelled while it waits', async () => {
    const cancel = (id: string) => test.cancelWork({ job: row, ids: [id] }, by)
    expect(await second(cancel)).toEqual([2, 1, [0, 'cancelled', 20]])
  })

  it('cancelled with many', async () => {
    const cancel = (id: string) =>
      test.actOnMany({ kind: 'cancelWork', which: { ids: [id] }, ...by })
    expect(await second(cancel)).toEqual([2, 1, [0, 'cancelled', 20]])
  })

  it('expired', async () => {
    const expire = (id: string) =>
      own.query(
        `update "JobWork" set "facts" = "facts" || '{"expiresAt": "2020-01-01T00:00:00.000Z"}' where "id" = $1`,
        [id],
      )
    expect(await second(expire)).toEqual([2, 1, [0, 'expired', 20]])
  })

  it('without its payload', async () => {
    const lose = (id: string) =>
      own.query(
        `update "JobWork" set "payloadId" = gen_random_uuid(), "payload" = null where "id" = $1`,
        [id],
      )
    expect(await second(lose)).toEqual([2, 1, [0, 'payload_missing', 20]])
  })

  describe('replaced by newer work', () => {
    /** No option of `step.map` does so. */
    const giveKey = async (id: string) => {
      await own.query(`update "JobWork" set "uniqueKey" = 'once' where "id" = $1`, [id])
      await own.query(
        `insert into "JobUnique" ("name", "key", "workId") values ('row', 'once', $1)`,
        [id],
      )
    }
    const replace = () =>
      test.enqueueNow(row, { n: 9 }, { uniqueKey: 'once', onConflict: 'replace' })

    it('before it runs', async () => {
      const lose = async (id: string) => {
        await giveKey(id)
        await own.query('delete from "JobUnique"')
        expect((await replace()).kind).toBe('enqueued')
      }
      expect(await second(lose)).toEqual([2, 1, [0, 'expired', 20]])
    })

    it('while it runs: it is not tried again', async () => {
      work = async (n) => {
        if (n !== 1) return n
        expect((await replace()).kind).toBe('enqueued')
        throw new Error('broken')
      }
      expect(await second(giveKey)).toEqual([2, 1, [0, 'handler_failed', 2]])
    })
  })

  it('retried, which then succeeds', async () => {
    let isBroken = true
    work = (n) => {
      if (n === 1 && isBroken) {
        isBroken = false
        throw new Error('broken')
      }
      return n
    }
    expect(await second(async () => undefined)).toEqual([3, 0, [0, 1, 2]])
  })

  it('given up, and retried once the parent has gone on: the first end counts, and the retry says so', async () => {
    let isBroken = true
    work = (n) => {
      if (n === 1 && isBroken) throw new JobError('bad', 'it broke', { retryable: false })
      return n
    }
    expect(await second(async () => undefined)).toEqual([2, 1, [0, 'bad', 2]])
    isBroken = false
    expect(await test.redriveDeadLetters('all', by)).toMatchObject({ redriven: 1, unawaited: 1 })
    expect(await drain()).toEqual(['row success'])
    expect(seen).toHaveLength(1)
  })

  it('discarded', async () => {
    work = (n) => {
      if (n === 1) throw new JobError('bad', 'it broke', { retryable: false })
      return n
    }
    await start()
    await drainSome(3)
    await test.discardDeadLetters('all', by)
    await drain()
    expect(seen[0]).toEqual([2, 1, [0, 'bad', 2]])
  })
})

it('a parent goes on with all ends in their order, whatever becomes of each child, and in whatever order', async () => {
  const acts = [
    ...['succeed', 'fail', 'cancel', 'cancelRun', 'expire', 'loseItsPayload'],
    ...['discard', 'redrive'],
  ]
  /** What the parent may find of the child at `n`. One that is retried may come too late. */
  const endsOf = (n: number): Record<string, unknown[]> => ({
    ...{ succeed: [n], fail: ['bad'], cancel: ['cancelled'], cancelRun: ['cancelled'] },
    ...{ expire: ['expired'], loseItsPayload: ['payload_missing'], discard: ['bad'] },
    redrive: [n, 'bad'],
  })
  const change = (set: string, id: string) =>
    own.query(`update "JobWork" set ${set} where "id" = $1`, [id])
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...acts), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 8 }),
      async (drawn, atOnce) => {
        await test.reset()
        seen = []
        const isRetried = new Set<number>()
        work = async (n) => {
          if (drawn[n] === 'cancelRun') {
            const { rows } = await own.query<{ id: string }>(
              `select unnest("runIds")::text as id from "JobClaim"`,
            )
            for (const { id } of rows) await test.cancelRun(id, by)
            throw new JobError('cancelled', 'it noticed', { retryable: false })
          }
          const fails = ['fail', 'discard'].includes(drawn[n] as string)
          if (fails || (drawn[n] === 'redrive' && !isRetried.has(n)))
            throw new JobError('bad', 'it broke', { retryable: false })
          return n
        }
        await start(drawn.length)
        await drainSome(1)
        const { rows } = await own.query<{ id: string; at: number }>(
          `select "workId"::text as id, "at" from "JobChild" order by "at"`,
        )
        for (const { id, at } of rows) {
          if (drawn[at] === 'cancel') await test.cancelWork({ job: row, ids: [id] }, by)
          if (drawn[at] === 'expire')
            await change(`"facts" = "facts" || '{"expiresAt": "2020-01-01T00:00:00.000Z"}'`, id)
          if (drawn[at] === 'loseItsPayload')
            await change(`"payloadId" = gen_random_uuid(), "payload" = null`, id)
        }
        for (let rounds = 0; rounds < 40 && seen.length === 0; rounds++) {
          await test.drain({ maxRuns: atOnce }).catch(() => undefined)
          for (const { id, at } of rows) {
            if (drawn[at] === 'discard') await test.discardDeadLetters({ ids: [id] }, by)
            if (drawn[at] === 'redrive' && !isRetried.has(at)) {
              const { redriven } = await test.redriveDeadLetters({ ids: [id] }, by)
              if (redriven === 1) isRetried.add(at)
            }
          }
          expect((await own.query('select * from "JobChildLost"')).rows).toEqual([])
          await test.advance({ seconds: 10 })
        }
        const [joined] = seen as [number, number, unknown[]][]
        expect(joined?.[2]).toHaveLength(drawn.length)
        for (const [n, one] of (joined?.[2] ?? []).entries())
          expect(endsOf(n)[drawn[n] as string]).toContain(one)
      },
    ),
    { numRuns: Number(process.env['CHILD_ENDS'] ?? 6) },
  )
}, 600_000)

describe('children', () => {
  it('are cancelled with their parent, which can undo what it has done', async () => {
    handle = async ({ step }) => {
      await step
        .invoke('rows', {}, nested, {})
        .catch((error: unknown) => seen.push((error as JobError).code))
    }
    const workId = await start()
    await drain()
    await test.cancelWork({ job: parent, ids: [workId] }, by)

    expect(new Set(await drain())).toEqual(new Set(['nested cancelled', 'parent cancelled']))
    expect(new Set(seen)).toEqual(new Set(['cancelled', 'undone']))
  })

  it('of a step that is called after the cancellation undo what was done', async () => {
    handle = async ({ step }) => {
      try {
        await step.sleep('nap', { days: 1 })
      } catch (error) {
        const undone = await step.map('other', row, payloads(2), { onFailure: 'collect' })
        seen.push(undone.succeeded)
        throw error
      }
    }
    const workId = await start()
    await drain()
    await test.cancelWork({ job: parent, ids: [workId] }, by)

    expect((await drain()).at(-1)).toBe('parent cancelled')
    expect(new Set(seen)).toEqual(new Set([2]))
  })

  it('that wait are cancelled with a parent that has no memo yet', async () => {
    handle = async ({ step }) => {
      await Promise.all([
        step.map('rows', row, payloads(3)),
        step.run('other', () => {
          throw new RateLimited({ retryAfter: 60_000 })
        }),
      ])
    }
    const workId = await start()
    await test.pauseQueue('row', by)
    await drain()
    await test.cancelWork({ job: parent, ids: [workId] }, by)
    await drain()

    expect(await test.enqueued(row)).toEqual([])
    expect(await ends()).toEqual(['cancelled', 'cancelled', 'cancelled'])
  })

  it('that wait are cancelled with their parent', async () => {
    const workId = await start()
    await test.pauseQueue('row', by)
    await drain()
    await test.cancelWork({ job: parent, ids: [workId] }, by)

    const ended = await drain()
    expect(ended).toContain('parent cancelled')
    expect(await test.enqueued(row)).toEqual([])
    const { rows } = await own.query(
      'select distinct "errorCode" from "JobChild" where "result" is null',
    )
    expect(rows).toEqual([{ errorCode: 'cancelled' }])
  })

  it('are named by explain', async () => {
    work = async () => {
      throw new Error('later')
    }
    const workId = await start()
    await drain()

    expect((await test.explain(workId))?.reasons.at(-1)?.text).toBe(
      'step rows waits for 3 of 3 runs of row',
    )
  })

  it('that wait end with a parent that somebody cancels twice before it goes on', async () => {
    handle = async ({ step }) => void (await step.map('rows', row, payloads(3)))
    const workId = await start()
    await test.pauseQueue('row', by)
    await drain()
    await test.cancelWork({ job: parent, ids: [workId] }, by)
    await test.cancelWork({ job: parent, ids: [workId] }, by)

    expect(await drain()).toEqual([])
    expect(await test.enqueued(row)).toEqual([])
    expect(await ends()).toEqual(['cancelled', 'cancelled', 'cancelled'])
  })

  it('are cancelled with a parent that fails before it says so', async () => {
    handle = async ({ step }) => {
      await Promise.all([step.map('rows', row, payloads(2)), step.sleep('nap', { days: 1 })])
    }
    const workId = await start()
    await test.pauseQueue('row', by)
    await drain()
    await test.cancelWork({ job: parent, ids: [workId] }, by)
    handle = () => Promise.reject(new JobError('broken', 'at its start', { retryable: false }))

    expect(await drain()).toEqual(['parent cancelled'])
    await drain()
    expect(await ends()).toEqual(['cancelled', 'cancelled'])
  })

  it('begin anew where the parent does', async () => {
    const workId = await start(1)
    handle = async ({ step, payload: { count } }) => {
      await step.map('rows', row, payloads(count))
      throw new JobError('bad', 'it broke', { retryable: false })
    }
    await drain()
    handle = async ({ step, payload: { count } }) => {
      const rows = await step.map('rows', row, payloads(count + 1))
      seen.push(rows.succeeded)
    }
    await test.redriveDeadLetters('all', { ...by, from: 'beginning' })
    await drain()

    expect(seen).toEqual([2])
    expect(await test.steps(workId)).toHaveLength(1)
  })
})

describe('a child that somebody retries', () => {
  const dies = (n: number) => {
    if (n === 1) throw new JobError('bad', 'it broke', { retryable: false })
    return n
  }
  const children = async () =>
    (
      await own.query<{ id: string }>(`select "workId"::text as id from "JobChild" order by "at"`)
    ).rows.map(({ id }) => id)

  beforeEach(() => {
    work = dies
    handle = async ({ step }) => {
      const rows = await step.map('rows', row, payloads(3))
      seen.push([rows.succeeded, rows.failed, await all(rows.results())])
    }
  })

  it('gives its result to the parent that is a dead letter of its failure, and that is retried', async () => {
    const workId = await start()
    expect((await drain()).at(-1)).toBe('parent child_failed')
    const [, child = ''] = await children()
    work = (n) => n
    expect(await test.redriveDeadLetters({ ids: [child] }, by)).not.toHaveProperty('unawaited')
    expect(await drain()).toEqual(['row success'])
    await test.redriveDeadLetters({ ids: [workId] }, by)

    expect(await drain()).toEqual(['parent success'])
    expect(seen).toEqual([[3, 0, [0, 1, 2]]])
  })

  it('is waited for by the parent that is retried with it', async () => {
    await start()
    await drain()
    work = (n) => n
    expect(await test.redriveDeadLetters('all', by)).toMatchObject({ redriven: 2 })

    expect(await drain()).toContain('row success')
    expect(seen).toEqual([[3, 0, [0, 1, 2]]])
  })

  it('fails the parent again where it fails again, and where it is not retried', async () => {
    const workId = await start()
    await drain()
    const [, child = ''] = await children()
    await test.redriveDeadLetters({ ids: [workId] }, by)
    expect(await drain()).toEqual(['parent child_failed'])

    await test.redriveDeadLetters({ ids: [child] }, by)
    expect(await drain()).toEqual(['row bad'])
    await test.redriveDeadLetters({ ids: [workId] }, by)
    expect(await drain()).toEqual(['parent child_failed'])
  })

  it('is waited for by a parent whose other children go on', async () => {
    await start()
    await drainSome(3)
    work = (n) => n
    expect(await test.redriveDeadLetters('all', by)).not.toHaveProperty('unawaited')
    await drain()

    expect(seen).toEqual([[3, 0, [0, 1, 2]]])
  })

  it('begins anew with the others where the parent begins again with the step', async () => {
    const workId = await start()
    await drain()
    const [, child = ''] = await children()
    work = (n) => n * 2
    expect(
      await test.redriveDeadLetters({ ids: [workId, child] }, { ...by, from: { step: 'rows' } }),
    ).toMatchObject({ redriven: 2, unawaited: 1 })
    await drain()

    expect(seen).toEqual([[3, 0, [0, 2, 4]]])
  })

  it('is waited for by a run of the parent that reads its steps in that moment', async () => {
    handle = async ({ step }) => void (await step.invoke('rows', {}, row, { n: 1 }))
    const workId = await start(1)
    await drainSome(2)
    const { rows: claims } = await own.query<{ id: string }>(
      `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
       values (gen_random_uuid(), 'parent', 'w1', now(), 'infinity', '{}', '{}') returning "id"`,
    )
    const load = () => own.query<StepRow>(LOAD_STEPS, [workId, claims[0]?.id, 'w1'])
    let loading: ReturnType<typeof load> | undefined
    await client.$transaction(async (tx) => {
      await test.redriveDeadLetters('all', by, { tx })
      loading = load()
      await waitFor(async () => {
        const { rows } = await own.query(`select from pg_locks where not granted`)
        return rows.length > 0
      })
    })

    expect((await loading)?.rows).toMatchObject([{ name: 'rows', endedAt: null }])
    await own.query('delete from "JobClaim"')
  })
})
