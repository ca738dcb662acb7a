import { openForTests } from '@roundsman/testing'
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import {
  ArgumentError,
  ChildFailed,
  defineJob,
  JobError,
  type ChildResult,
  type DurableContext,
  type StepsOf,
} from '../../src/index.ts'
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
    ...{ databaseUrl: database.url, client, jobs: [parent, row, nested] },
    handlers: {
      async parent(context: Context) {
        await handle(context)
      },
      row: async ({ payload }) => await work(payload.n),
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

  it('given up, discarded or retried by hand: the first end counts', async () => {
    let isBroken = true
    work = (n) => {
      if (n === 1 && isBroken) throw new JobError('bad', 'it broke', { retryable: false })
      return n
    }
    expect(await second(async () => undefined)).toEqual([2, 1, [0, 'bad', 2]])
    isBroken = false
    expect(await test.redriveDeadLetters('all', by)).toMatchObject({ redriven: 1 })
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
