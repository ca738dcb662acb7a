// Not quick: starts workers.
import { waitFor } from '@roundsman/testing'
import pg from 'pg'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { defineJob, defineSignal } from '../../src/index.ts'
import { HOSTS } from '../fixtures/hosts.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const PAIRS = 300
const WORKERS = 3

const approved = defineSignal({ name: 'approved' })
const order = defineJob({
  name: 'order',
  payload: z.object({ n: z.number() }),
  concurrency: 20,
  steps: { approval: {}, done: {} },
})
const { runtime, client } = useClientRuntime({ cleared: [] })
let answers: [number, unknown][]

beforeEach(() => {
  answers = []
})

const startWorker = () =>
  startTestWorker(runtime, {
    jobs: [order],
    handlers: {
      async order({ step, payload: { n } }) {
        const answer = await step.waitFor('approval', approved, { key: `${n % 10}` })
        await step.run('done', () => void answers.push([n, answer]))
      },
    },
  })
const parked = () =>
  runtime.value<number>(`select count(*)::int from "JobWork" where "resumptions" > 0`)

it('ends each wait, whatever the order of their commits, and each signal ends one', async () => {
  await Promise.all(Array.from({ length: WORKERS }, startWorker))
  const acts = Array.from({ length: PAIRS }, (_, n) => [
    () => client.enqueueNow(order, { n }),
    () => client.signalNow(approved, { key: `${n % 10}`, id: `${n}`, payload: n }),
  ]).flat()
  // In an order that mixes both, many at once.
  for (let at = acts.length - 1; at > 0; at--) {
    const other = (at * 7_919) % (at + 1)
    ;[acts[at], acts[other]] = [acts[other] as never, acts[at] as never]
  }
  const next = acts.values()
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (const act of next) await act()
    }),
  )

  await waitFor(() => answers.length === PAIRS, { timeoutMs: 30_000 })
  expect(new Set(answers.map(([, id]) => id)).size).toBe(PAIRS)
  expect(answers.filter(([n, id]) => n % 10 !== Number(id) % 10)).toEqual([])
  expect(await runtime.value(`select count(*)::int from "JobSignal" where "takenBy" is null`)).toBe(
    0,
  )
}, 60_000)

it('of a transaction that stays open delays no other, and counts at its commit', async () => {
  await startWorker()
  for (const n of [1, 2]) await client.enqueueNow(order, { n })
  await waitFor(async () => (await parked()) === 2)
  const open = new pg.Client(runtime.url)
  await open.connect()
  onTestFinished(() => open.end())
  await open.query('begin')
  await client.signal(open, approved, { key: '1', id: 'open', payload: 'open' })

  await client.signalNow(approved, { key: '2', id: 'other', payload: 'other' })
  await waitFor(() => answers.length === 1)
  expect(answers).toEqual([[2, 'other']])

  await open.query('commit')
  await waitFor(() => answers.length === 2)
  expect(answers[1]).toEqual([1, 'open'])
})

it('is given to its wait though somebody holds the row of the work for a while', async () => {
  await startWorker()
  const { workId } = await client.enqueueNow(order, { n: 1 })
  await waitFor(async () => (await parked()) === 1)
  const holder = new pg.Client(runtime.url)
  await holder.connect()
  onTestFinished(() => holder.end())
  await holder.query('begin')
  await holder.query('select from "JobWork" where "id" = $1 for update', [workId])
  await client.signalNow(approved, { key: '1', id: 'a', payload: 'a' })
  const looks = () => runtime.value<boolean>(`select bool_and("isFresh") from "JobSignal"`)
  expect(await looks()).toBe(true)

  await holder.query('rollback')
  await waitFor(() => answers.length === 1)
  expect(await looks()).toBe(false)
})

const hosts = Object.entries(HOSTS)
describe.each(hosts)('client.signal by %s', (_name, openHost) => {
  it('counts if its transaction commits, once for each id', async () => {
    const host = openHost(runtime.url)
    onTestFinished(() => host.close() as Promise<void>)
    const send = (id: string) =>
      host.transaction((tx) => client.signal(tx, approved, { key: 'k', id, payload: { a: [1] } }))

    expect(await send('s1')).toBe('stored')
    expect(await send('s1')).toBe('duplicate')
    await host
      .transaction(async (tx) => {
        await client.signal(tx, approved, { key: 'k', id: 's2' })
        throw new Error('no')
      })
      .catch(() => undefined)
    expect(await runtime.rows(`select "id", "payload" from "JobSignal"`)).toEqual([
      { id: 's1', payload: { a: [1] } },
    ])
  })
})
