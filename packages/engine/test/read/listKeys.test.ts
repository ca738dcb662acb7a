import { openForTests } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { getJobRun, listJobRuns } from '../../src/client.ts'
import { defineJob, type Job } from '../../src/index.ts'
import { recordRunning } from '../../src/run/runs.ts'
import { registerLimits } from '../../src/worker/registerLimits.ts'
import { asWorker } from '../asWorker.ts'
import { openTestQueue, type TestWork } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const sync = defineJob({
  name: 'sync',
  payload: z.strictObject({ tenant: z.string() }),
  partition: { key: ({ tenant }) => (tenant === '' ? null : tenant) },
  concurrency: { perWorker: 10, perKey: 2 },
  retry: { limit: 0 },
})
const letter = defineJob({ name: 'letter' })
const by = { actor: 'ada@example.com', reason: 'they flood us' }
/** 200 bytes, as text may be that is a part of no address as it is. */
const ODD = `../a b/%2F?#${'🎈'.repeat(47)}`

const runtime = useTestRuntime()
const queue = openForTests(() => openTestQueue(runtime, [sync as Job, letter]))
beforeEach(async () => {
  await runtime.clear('JobAction', 'JobLimit', 'JobKey')
  await asWorker(runtime.database, 'v1', async () => {
    await runtime.rows(
      `insert into "JobWorker" ("id", "lanes") values ('v1', '{}') on conflict do nothing`,
    )
    const jobs = [sync as Job, letter]
    await runtime.database.transaction((tx) => registerLimits(tx, { workerId: 'v1', jobs }))
  })
})

const enqueue = async (...tenants: string[]) => {
  for (const tenant of tenants) await queue.client.enqueueNow(sync, { tenant })
}
const keys = async (query = {}) => await queue.client.keys.list(sync, query)
const runsOf = async (key: string) => (await listJobRuns(runtime.reader, { limit: 9, key })).runs

describe('the run of work with a key', () => {
  it('knows that key however it ends, and while it is under way', async () => {
    await enqueue('a', 'a', 'b', '', ODD)
    const work = await queue.take('sync')
    expect((await runsOf('a')).map(({ status }) => status)).toEqual(['running', 'running'])
    const keyOf = new Map<string, string | null>()
    for (const { runId } of work)
      keyOf.set(runId, (await getJobRun(runtime.reader, runId))?.key ?? null)
    expect([...keyOf.values()].map(String).toSorted()).toEqual([ODD, 'a', 'a', 'b', 'null'])
    // One has a row, one fails, the others succeed by the statement for plain ends.
    const [spoken, failed, ...plain] = work as [TestWork, TestWork, ...TestWork[]]
    expect(plain.every(({ isPlain }) => isPlain)).toBe(true)
    await recordRunning(runtime.database, 'w1', spoken)
    await queue.complete([{ ...spoken, isPlain: false, hasRow: true }])
    await queue.fail([failed], { code: 'broken', message: '' }, 'giveUp')
    await queue.complete(plain)
    const stored = await runtime.rows<{ id: string; key: string | null }>(
      `select "id"::text as "id", "key" from "JobRun" where "status" <> 'running'`,
    )
    expect(new Map(stored.map(({ id, key }) => [id, key]))).toEqual(keyOf)
    expect(await runsOf(ODD)).toHaveLength(1)
    expect(await runsOf('')).toMatchObject([{ name: 'sync', status: 'success' }])
  })

  it('has none where its job has no keys', async () => {
    await queue.client.enqueueNow(letter, {})
    await queue.complete(await queue.take('letter'))
    expect(await runtime.rows('select "key" from "JobRun"')).toEqual([{ key: null }])
  })
})

describe('the keys of a job', () => {
  it('have their shares of what has started within the hour, and stay listed once all has run', async () => {
    await enqueue('a', 'a', 'a', 'b')
    await queue.complete(await queue.take('sync'))
    expect(await keys()).toMatchObject({
      keys: [
        { key: 'a', waiting: 0, running: 0, startedLastHour: 3 },
        { key: 'b', startedLastHour: 1 },
      ],
      total: 2,
      startedLastHour: 4,
      areStartsCut: false,
    })
    await runtime.rows(`update "JobRun" set "startedAt" = now() - interval '61 minutes'`)
    expect(await keys()).toMatchObject({ keys: [], total: 0, startedLastHour: 0 })
  })

  it('are listed by what somebody looks for', async () => {
    await enqueue('c', 'b', 'b')
    await runtime.rows(
      `update "JobWork" set "enqueuedAt" = now() - interval '1 h' where "key" = 'c'`,
    )
    const order = async (of: string) => (await keys({ order: of })).keys.map(({ key }) => key)
    expect(await order('waiting')).toEqual(['b', 'c'])
    expect(await order('oldest')).toEqual(['c', 'b'])
    await queue.take('sync')
    await enqueue('a', 'a', 'a')
    expect(await order('running')).toEqual(['b', 'c', 'a'])
    expect(await order('started')).toEqual(['b', 'c', 'a'])
    expect(await order('key')).toEqual(['a', 'b', 'c'])
    await expect(keys({ order: 'size' })).rejects.toThrow('order')
  })

  it('count what workers take first where more waits than is counted', async () => {
    const insert = async (count: number, key: string) =>
      await runtime.rows(
        `insert into "JobWork" ("id", "name", "key", "bytes", "payload")
         select gen_random_uuid(), 'sync', ${key}, 2, '{}' from generate_series(1, ${count}) n`,
      )
    await insert(60_000, `'z'`)
    await insert(60_000, `'a' || n`)
    const page = await keys({ limit: 1 })
    expect(page).toMatchObject({
      counted: 100_000,
      isCut: true,
      keys: [{ key: 'z', waiting: 60_000 }],
    })
  })
})

describe('one key', () => {
  it('tells what it has, which of its runs are under way, and what was set of it', async () => {
    await enqueue(ODD, ODD, ODD, 'b')
    const [first] = await queue.take('sync', 2)
    await queue.client.keys.set(sync, ODD, { paused: true }, by)
    await queue.client.keys.set(sync, ODD, { perKey: 3 }, { actor: 'bo', reason: 'they pay more' })
    const found = await queue.client.keys.get(sync, ODD)
    expect(found).toMatchObject({
      ...{ key: ODD, waiting: 1, running: 2, startedLastHour: 2, ofAllStarted: 2, perKey: 3 },
      // Of the pause nobody has changed anything since.
      paused: { by: by.actor, reason: by.reason, until: null },
      ...{ setBy: 'bo', reason: 'they pay more', parkedUntil: null },
      limit: { perKey: 2, order: 'fair' },
      runs: [{ key: ODD, workerId: 'w1' }, { key: ODD }],
    })
    expect(found.runs.map(({ runId }) => runId)).toContain(first?.runId)
    const until = new Date(Date.UTC(2031, 0, 1))
    await queue.client.keys.set(sync, ODD, { paused: until }, by)
    expect((await queue.client.keys.get(sync, ODD)).paused).toMatchObject({
      until: until.toISOString(),
    })
    await queue.client.keys.set(sync, ODD, { paused: false }, by)
    expect(await queue.client.keys.get(sync, ODD)).toMatchObject({ paused: null, perKey: 3 })
    const wrong = { paused: 'resumed' } as never
    await expect(queue.client.keys.set(sync, ODD, wrong, by)).rejects.toThrow(
      'paused has to be true, false or a Date',
    )
  })

  it('has nothing where nothing tells of it', async () => {
    expect(await queue.client.keys.get(sync, 'x')).toMatchObject({
      ...{
        key: 'x',
        waiting: 0,
        running: 0,
        startedLastHour: 0,
        runs: [],
        paused: null,
        setBy: null,
      },
      limit: { perKey: 2 },
    })
    expect(await queue.client.keys.get(letter, 'x')).toMatchObject({ limit: null })
    expect((await keys({ key: 'x' })).keys).toEqual([])
  })
})
