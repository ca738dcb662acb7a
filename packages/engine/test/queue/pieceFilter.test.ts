import { openForTests } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { z } from 'zod'
import {
  listDeadLetters,
  listWaitingWork,
  type ActionOptions,
  type ActOnManyRequest,
} from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { countWaitingWork, groupDeadLetters, groupWaitingWork } from '../../src/internal.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const keyed = (name: string) =>
  defineJob({
    name,
    payload: z.strictObject({ tenant: z.string() }),
    partition: { key: ({ tenant }) => (tenant === '' ? null : tenant) },
    retry: { limit: 0 },
  })
const sync = keyed('sync')
const bill = keyed('bill')
const letter = defineJob({ name: 'letter' })
const by = { actor: 'ada@example.com', reason: 'they flood us' }
/** As text may be that is a part of no address as it is. */
const ODD = '../a b/ü🎈%2F?#'

const runtime = useTestRuntime({ cleared: ['JobAction'] })
const queue = openForTests(() => openTestQueue(runtime, [sync, bill, letter]))
const enqueue = async (job: typeof sync, tenant: string) =>
  (await queue.client.enqueueNow(job, { tenant })).workId
const list = async (filter: object) =>
  (await listWaitingWork(runtime.reader, { limit: 9, ...filter })).work
const idsOf = async (filter: object) => (await list(filter)).map(({ workId }) => workId)
const act = async (request: ActOnManyRequest) => await queue.client.actOnMany(request)

it('finds waiting work by its key, of one job or of all, and the work without one', async () => {
  const [mine, odd, none] = [
    await enqueue(sync, '42'),
    await enqueue(sync, ODD),
    await enqueue(sync, ''),
  ]
  const other = await enqueue(bill, '42')
  await queue.client.enqueueNow(letter, {})
  expect(await idsOf({ name: 'sync', key: '42' })).toEqual([mine])
  expect((await idsOf({ key: '42' })).toSorted()).toEqual([mine, other].toSorted())
  expect(await list({ key: ODD })).toMatchObject([{ workId: odd, key: ODD }])
  expect(await list({ key: '' })).toMatchObject([{ workId: none, key: '' }])
  expect(await list({ name: 'letter' })).toMatchObject([{ key: null }])
  expect(await countWaitingWork(runtime.reader, { name: 'sync', key: '42' })).toBe(1)
  expect(await countWaitingWork(runtime.reader, { key: '42' })).toBe(2)
})

it('groups work by key before its label, also of one key alone', async () => {
  for (const tenant of ['42', '42', '42', '7', '7', '1', '', '']) await enqueue(sync, tenant)
  expect((await groupWaitingWork(runtime.reader, {})).groups).toMatchObject([
    { by: 'key', field: null, value: '42', count: 3 },
    { by: 'key', field: null, value: '7', count: 2 },
  ])
  expect(await groupWaitingWork(runtime.reader, { key: '7' })).toMatchObject({ looked: 2 })
})

it('has one act change all that waits with a key, and nothing else', async () => {
  for (const tenant of ['42', '7', '42']) await enqueue(sync, tenant)
  const bills = await enqueue(bill, '42')
  const which = { name: 'sync', key: '42' }
  const startAfter = new Date(Date.UTC(2031, 0, 1))
  const postpone: ActOnManyRequest = { ...by, kind: 'postponeWork', which, startAfter }
  expect(await act(postpone)).toMatchObject({ done: 2, left: 0 })
  expect(
    (await list({})).map(({ key, name, isDue }) => `${name} ${key} ${isDue}`).toSorted(),
  ).toEqual(['bill 42 true', 'sync 42 false', 'sync 42 false', 'sync 7 true'])
  const prioritise: ActOnManyRequest = { ...by, kind: 'prioritiseWork', which, priority: 3 }
  expect(await act(prioritise)).toMatchObject({ done: 2 })
  expect((await list(which)).map(({ priority }) => priority)).toEqual([3, 3])
  expect(await act({ ...by, kind: 'cancelWork', which })).toMatchObject({ done: 2 })
  expect(await idsOf({ key: '42' })).toEqual([bills])
  expect(await idsOf({ key: '7' })).toHaveLength(1)
})

it('has a program cancel the work of a key in its own transaction', async () => {
  for (const tenant of ['42', '7', '42', '']) await enqueue(sync, tenant)
  const { client } = queue
  const cancel = async (options?: ActionOptions) =>
    await client.cancelWork({ job: sync, key: '42' }, by, options)
  await expect(
    runtime.prisma.$transaction(async (tx) => {
      expect(await cancel({ tx })).toEqual({ done: 2, left: 0 })
      throw new Error('the tenant stays')
    }),
  ).rejects.toThrow('the tenant stays')
  expect(await idsOf({ key: '42' })).toHaveLength(2)
  await client.postponeWork({ job: sync, key: '7' }, { ...by, startAfter: new Date(8e12) })
  await client.prioritiseWork({ job: sync, key: '' }, { ...by, priority: 9 })
  expect((await list({})).map(({ key, priority, isDue }) => [key, priority, isDue])).toEqual([
    ['', 9, true],
    ['42', 0, true],
    ['42', 0, true],
    ['7', 0, false],
  ])
  await cancel()
  expect(await idsOf({})).toHaveLength(2)
})

it('finds dead letters by key, and retries or discards them', async () => {
  const failed = async (tenant: string) => {
    const workId = await enqueue(sync, tenant)
    await queue.fail(await queue.take('sync'), { code: 'broken', message: '' }, 'giveUp')
    return workId
  }
  const [mine, also, theirs] = [await failed('42'), await failed('42'), await failed('7')]
  const letters = async (filter: object) =>
    (await listDeadLetters(runtime.reader, { limit: 9, ...filter })).deadLetters
  expect(await letters({ name: 'sync', key: '42' })).toMatchObject([
    { workId: also, key: '42' },
    { workId: mine, key: '42' },
  ])
  expect((await groupDeadLetters(runtime.reader, { errorCode: 'broken' })).groups).toMatchObject([
    { by: 'key', value: '42', count: 2 },
  ])
  expect(await act({ ...by, kind: 'discard', which: { key: '7' } })).toMatchObject({ done: 1 })
  expect(await letters({ key: '7' })).toEqual([])
  expect(theirs).not.toBe(mine)
  const redrive: ActOnManyRequest = { ...by, kind: 'redrive', which: { name: 'sync', key: '42' } }
  expect(await act(redrive)).toMatchObject({ done: 2 })
  expect((await idsOf({ key: '42' })).toSorted()).toEqual([mine, also].toSorted())
})
