import { openForTests, waitFor } from '@roundsman/testing'
import pg from 'pg'
import { z } from 'zod'
import { afterEach, describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const mail = defineJob({ name: 'mail', payload: z.strictObject({ text: z.string().optional() }) })

const runtime = useTestRuntime({ cleared: [] })
const queue = openForTests(() => openTestQueue(runtime, [mail]))
let hosts: pg.Client[] = []

afterEach(async () => {
  await Promise.all(hosts.map((host) => host.end()))
  hosts = []
})

async function begin(): Promise<pg.Client> {
  const host = new pg.Client(runtime.url)
  hosts.push(host)
  await host.connect()
  await host.query('begin')
  return host
}

const enqueue = (host: pg.Client) => queue.client.enqueue(host, mail, {}, { uniqueKey: 'one' })

const doesSomebodyWait = async () =>
  (await runtime.rows('select from pg_locks where not granted')).length > 0
const untilSomebodyWaits = () => waitFor(doesSomebodyWait)

describe('a unique key of which a transaction stays open', () => {
  it('is free after its work, where that transaction has only met it', async () => {
    const first = await begin()
    const second = await begin()
    await enqueue(first)
    const met = enqueue(second)
    await untilSomebodyWaits()
    await first.query('commit')
    expect((await met).kind).toBe('alreadyQueued')

    await queue.complete(await queue.take('mail'))
    const third = await begin()
    expect((await enqueue(third)).kind).toBe('enqueued')
    await third.query('commit')
    await second.query('commit')
  })

  it('is waited for, where that transaction has locked it and its work is nowhere', async () => {
    await runtime.rows(
      `insert into "JobUnique" ("name", "key", "workId") values ('mail', 'one', gen_random_uuid())`,
    )
    const holder = await begin()
    await holder.query('select from "JobUnique" for update')
    const next = await begin()
    const met = enqueue(next)
    await untilSomebodyWaits()
    await holder.query('rollback')
    expect((await met).kind).toBe('enqueued')
    await next.query('commit')
  })
})

describe('keys of one call', () => {
  it('are taken in the order in which a redrive takes them, whatever their characters', async () => {
    const keys = ['\u{1f600}', '\uff21', 'é', 'z', '\u{10ffff}', '\ue000']
    await queue.client.enqueueManyNow(
      mail,
      keys.map((uniqueKey) => ({ payload: {}, options: { uniqueKey } })),
    )
    const inOrder = (order: string) =>
      runtime.rows(`select "key" from "JobUnique" order by ${order}`)
    expect(await inOrder('ctid')).toEqual(await inOrder('"key" collate "C"'))
  })

  it.each([
    ['of one statement', 2],
    ['of a statement each', 5 * 2 ** 20],
  ])('are no deadlock where one comes free once greater ones are taken: %s', async (_, bytes) => {
    const items = ['a', 'b'].map((uniqueKey) => ({
      payload: { text: 'x'.repeat(bytes) },
      options: { uniqueKey },
    }))
    const enqueueAll = async (host: pg.Client) => {
      const results = await queue.client.enqueueMany(host, mail, items)
      await host.query('commit')
      return results.map(({ kind }) => kind)
    }
    const first = await begin()
    await queue.client.enqueue(first, mail, {}, { uniqueKey: 'a' })
    const slow = await begin()
    const query = slow.query.bind(slow)
    const [isAsked, untilAsked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    let left = Math.min(2, Math.ceil(bytes / 2 ** 20))
    slow.query = (async (...statement: [string]) => {
      const answer = await query(...statement)
      if (--left > 0) return answer
      isAsked.resolve()
      await untilAsked.promise
      return answer
    }) as typeof slow.query
    const met = enqueueAll(slow)
    await untilSomebodyWaits()
    await first.query('commit')
    await isAsked.promise
    await queue.complete(await queue.take('mail'))
    let isDone = false
    const metByLast = enqueueAll(await begin()).finally(() => (isDone = true))
    await waitFor(async () => isDone || (await doesSomebodyWait()))

    untilAsked.resolve()
    const kinds = [...(await met), ...(await metByLast)]
    expect(kinds.filter((kind) => kind === 'enqueued')).toHaveLength(2)
    expect(await runtime.rows('select from "JobWork"')).toHaveLength(2)
  })
})
