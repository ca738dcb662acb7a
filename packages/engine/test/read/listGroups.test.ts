import { openForTests, useLivingWorkers } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/index.ts'
import { groupDeadLetters, groupWaitingWork, MAX_GROUPED } from '../../src/read/listGroups.ts'
import { listProblems } from '../../src/judge/judgeJobs.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const parcel = defineJob({
  name: 'parcel',
  payload: z.strictObject({ tenant: z.number(), city: z.string().optional() }),
  label: ({ tenant }) => `tenant ${tenant}`,
  show: ['tenant', 'city'],
  retry: { limit: 0 },
})
const letter = defineJob({ name: 'letter' })

const runtime = useTestRuntime({ cleared: [] })
useLivingWorkers(() => runtime.url, 'w')
const opened = openForTests(() => openTestQueue(runtime, [parcel, letter]))

const enqueue = async (payloads: readonly { tenant: number; city?: string }[]) =>
  await opened.client.enqueueManyNow(
    parcel,
    payloads.map((payload) => ({ payload })),
  )
/** Waiting work by the database alone: a third is of tenant 7, the rest of tenant 42. */
const insert = async (count: number) =>
  await runtime.rows(
    `insert into "JobWork" ("id", "name", "dueAt", "enqueuedAt", "bytes", "label", "payload")
     select gen_random_uuid(), 'parcel', now() - interval '10 minutes', now() - interval '10 minutes', 2,
            'tenant ' || case when n % 3 = 0 then 7 else 42 end, '{}'
     from generate_series(1, ${count}) n`,
  )

it('are of the same label, and of the same value in a field that is shown', async () => {
  await enqueue([
    { tenant: 42, city: 'Oslo' },
    { tenant: 42, city: 'Bergen' },
    { tenant: 42 },
    { tenant: 7, city: 'Oslo' },
    { tenant: 7 },
    { tenant: 1 },
  ])
  await opened.client.enqueueNow(letter, {})
  const [first] = await runtime.rows<{ at: Date }>(`select min("enqueuedAt") as at from "JobWork"`)
  const oldestAt = new Date(first!.at).toISOString()
  expect(await groupWaitingWork(runtime.reader, {})).toEqual({
    looked: 7,
    isCut: false,
    fields: ['city', 'tenant'],
    groups: [
      { by: 'label', field: null, value: 'tenant 42', count: 3, oldestAt },
      { by: 'label', field: null, value: 'tenant 7', count: 2, oldestAt },
      { by: 'field', field: 'city', value: 'Oslo', count: 2, oldestAt },
      { by: 'field', field: 'tenant', value: '42', count: 3, oldestAt },
      { by: 'field', field: 'tenant', value: '7', count: 2, oldestAt },
    ],
  })
  const inOslo = { shown: { by: 'field', field: 'city', value: 'Oslo' } }
  expect(await groupWaitingWork(runtime.reader, inOslo)).toMatchObject({
    looked: 2,
    groups: [{ by: 'field', field: 'city', value: 'Oslo', count: 2 }],
  })
  expect(await groupWaitingWork(runtime.reader, { name: 'letter' })).toEqual({
    looked: 1,
    isCut: false,
    fields: [],
    groups: [],
  })
})

it('of due work leave out what is for later', async () => {
  await enqueue([{ tenant: 42 }, { tenant: 42 }])
  const startAfter = new Date(Date.now() + 60_000)
  await opened.client.enqueueNow(parcel, { tenant: 42 }, { startAfter })
  expect(await groupWaitingWork(runtime.reader, { isDue: true })).toMatchObject({ looked: 2 })
  expect(await groupWaitingWork(runtime.reader, {})).toMatchObject({ looked: 3 })
})

it('are of dead letters too', async () => {
  await enqueue([{ tenant: 42 }, { tenant: 42 }, { tenant: 7 }])
  for (let n = 0; n < 3; n++)
    await opened.fail(
      await opened.take('parcel', 1),
      { code: n === 0 ? 'other' : 'broken', message: '' },
      'giveUp',
    )
  expect(await groupDeadLetters(runtime.reader, {})).toMatchObject({
    looked: 3,
    groups: [
      { by: 'label', field: null, value: 'tenant 42', count: 2 },
      { by: 'field', field: 'tenant', value: '42', count: 2 },
    ],
  })
  expect(await groupDeadLetters(runtime.reader, { errorCode: 'broken' })).toMatchObject({
    looked: 2,
  })
})

it('say that there are more than were looked at, and then not which is the oldest', async () => {
  await insert(MAX_GROUPED)
  expect(await groupWaitingWork(runtime.reader, {})).toMatchObject({
    looked: MAX_GROUPED,
    isCut: false,
  })
  await insert(3)
  const groups = await groupWaitingWork(runtime.reader, {})
  expect(groups).toMatchObject({ looked: MAX_GROUPED, isCut: true })
  expect(groups.groups.map(({ oldestAt }) => oldestAt)).toEqual([null, null])
  expect(groups.groups.reduce((sum, { count }) => sum + count, 0)).toBe(MAX_GROUPED)
})

it('tell of a backlog who floods the queue', async () => {
  await insert(300)
  await runtime.rows(`insert into "JobWorker" ("id", "lanes") values ('w', '{"parcel": 1}')`)
  expect((await listProblems(runtime.reader, [parcel], new Date())).problems).toContainEqual(
    expect.objectContaining({ kind: 'backlog', note: '66 % of it is label tenant 42.' }),
  )
})
