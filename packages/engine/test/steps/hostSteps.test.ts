// Not quick: commits through many database clients.
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import {
  defineJob,
  JobError,
  type DurableContext,
  type HostTransaction,
  type StepsOf,
} from '../../src/index.ts'
import { runOnce } from '../../src/worker.ts'
import { HOSTS, type TestHost } from '../fixtures/hosts.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const fill = defineJob({
  name: 'fill',
  retry: { limit: 0 },
  steps: { first: { retry: { limit: 1 } }, second: {} },
})
const follow = defineJob({ name: 'follow' })
type Context = DurableContext<Record<string, never>, HostTransaction, StepsOf<typeof fill>>

const runtime = useTestRuntime()
beforeAll(() => runtime.rows('create table "Effect" (n int)'))
beforeEach(() => runtime.clear('Effect'))

let host: TestHost
const run = (handler: (context: Context) => Promise<void>) =>
  runOnce({
    ...{ databaseUrl: runtime.url, schema: 'public', client: host.client, job: fill },
    ...{ handler: handler as never, log: runtime.log },
  })
const effects = () => runtime.column<number>('select n from "Effect" order by n')
const memos = () =>
  runtime.rows(
    `select "name", "kind", "result", "error" ->> 'code' as "code" from "JobStep" order by "seq"`,
  )
const hosts = Object.entries(HOSTS).filter(([name]) => !name.includes('that renames'))

describe.each(hosts)('step.tx by %s', (_name, openHost) => {
  beforeAll(() => {
    host = openHost(runtime.url)
  })
  afterAll(() => host.close())

  it('commits its effects with its memo, its counts and what it enqueues', async () => {
    const result = await run(async ({ step }) => {
      const made = await step.tx('first', async (tx, { count, enqueue, key }) => {
        await host.insert(tx, 1)
        await enqueue(follow, {})
        count({ added: 1 })
        return { at: new Date(0), key: key.length }
      })
      expect(made).toEqual({ at: '1970-01-01T00:00:00.000Z', key: 32 })
      await step.tx('second', async (tx) => {
        await host.insert(tx, 2)
      })
    })

    expect(result).toMatchObject({
      run: { status: 'success', details: { added: 1, batches: 1 } },
    })
    expect(await effects()).toEqual([1, 2])
    expect(await memos()).toEqual([
      {
        name: 'first',
        kind: 'tx',
        result: { at: '1970-01-01T00:00:00.000Z', key: 32 },
        code: null,
      },
      { name: 'second', kind: 'tx', result: null, code: null },
    ])
    expect(await runtime.rows(`select from "JobWork" where "name" = 'follow'`)).toHaveLength(1)
  })

  it('that fails is rolled back whole, and its failure is a memo', async () => {
    const result = await run(async ({ step }) => {
      await step
        .tx('first', async (tx, { count }) => {
          await host.insert(tx, 1)
          count({ added: 1 })
          throw new JobError('broken', 'it broke', { retryable: false })
        })
        .catch(() => undefined)
      await step.tx('second', async (tx) => void (await host.insert(tx, 2)))
    })

    expect(result).toMatchObject({ run: { status: 'success' } })
    expect(await effects()).toEqual([2])
    expect(await memos()).toMatchObject([
      { name: 'first', code: 'broken' },
      { name: 'second', code: null },
    ])
  })

  it('of a run that another worker has ended commits nothing', async () => {
    const result = await run(async ({ step, run: { id } }) => {
      await step.tx('first', async (tx) => {
        await host.insert(tx, 1)
        await runtime.rows('update "JobRun" set "workerId" = $2 where "id" = $1', [id, 'another'])
        await runtime.rows('update "JobClaim" set "workerId" = $1', ['another'])
      })
    })

    expect(result).toMatchObject({ kind: 'lost' })
    expect(await effects()).toEqual([])
    expect(await memos()).toEqual([])
  })
})

it('step.tx finds its memo where the answer of its commit is lost', async () => {
  const pool = new pg.Pool({ connectionString: runtime.url, max: 2 })
  onTestFinished(() => pool.end())
  let losses = 1
  pool.on('connect', (connection) => {
    const query = connection.query.bind(connection) as (...asked: unknown[]) => Promise<unknown>
    connection.query = async (...asked: unknown[]) => {
      const answer = await query(...asked)
      if (asked[0] === 'commit' && losses-- > 0)
        throw new Error('Connection terminated unexpectedly')
      return answer as never
    }
  })
  host = {
    client: pool,
    insert: (tx: pg.PoolClient, n: number) => tx.query('insert into "Effect" values ($1)', [n]),
  } as never
  let calls = 0
  const result = await run(async ({ step }) => {
    const made = await step.tx('first', async (tx) => {
      calls++
      await host.insert(tx, 1)
      return 'made'
    })
    expect(made).toBe('made')
  })

  expect(result).toMatchObject({ run: { status: 'success' } })
  expect(calls).toBe(1)
  expect(losses).toBe(0)
  expect(await effects()).toEqual([1])
})
