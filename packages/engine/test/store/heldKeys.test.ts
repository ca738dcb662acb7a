import { waitFor } from '@roundsman/testing'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { openTestQueue, type TestQueue } from '../openTestQueue.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const mail = defineJob({ name: 'mail' })

let runtime: TestRuntime
let queue: TestQueue
let hosts: pg.Client[] = []

beforeAll(async () => {
  runtime = await openTestRuntime()
  queue = await openTestQueue(runtime, [mail])
})

beforeEach(() => runtime.clear())

afterEach(async () => {
  await Promise.all(hosts.map((host) => host.end()))
  hosts = []
})

afterAll(async () => {
  await queue.close()
  await runtime.close()
})

async function begin(): Promise<pg.Client> {
  const host = new pg.Client(runtime.url)
  hosts.push(host)
  await host.connect()
  await host.query('begin')
  return host
}

const enqueue = (host: pg.Client) => queue.client.enqueue(host, mail, {}, { uniqueKey: 'one' })

async function untilSomebodyWaits(): Promise<void> {
  await waitFor(async () => {
    const waiting = await runtime.rows('select from pg_locks where not granted')
    return waiting.length > 0
  })
}

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
    await queue.client.enqueueMany(
      runtime.prisma,
      mail,
      keys.map((uniqueKey) => ({ payload: {}, options: { uniqueKey } })),
    )
    const inOrder = (order: string) =>
      runtime.rows(`select "key" from "JobUnique" order by ${order}`)
    expect(await inOrder('ctid')).toEqual(await inOrder('"key" collate "C"'))
  })

  it('are no deadlock where one comes free once greater ones are taken', async () => {
    const items = ['a', 'b'].map((uniqueKey) => ({ payload: {}, options: { uniqueKey } }))
    const enqueueAll = (host: pg.Client) => queue.client.enqueueMany(host, mail, items)
    const first = await begin()
    await queue.client.enqueue(first, mail, {}, { uniqueKey: 'a' })
    const slow = await begin()
    const query = slow.query.bind(slow)
    const [isAsked, untilAsked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    slow.query = (async (...statement: [string]) => {
      const answer = await query(...statement)
      isAsked.resolve()
      await untilAsked.promise
      return answer
    }) as typeof slow.query
    const met = enqueueAll(slow)
    await untilSomebodyWaits()
    await first.query('commit')
    await isAsked.promise
    await queue.complete(await queue.take('mail'))
    const last = await begin()
    const metByLast = enqueueAll(last)
    await untilSomebodyWaits()

    untilAsked.resolve()
    const kinds = (await met).map(({ kind }) => kind)
    await slow.query('commit')
    expect(kinds).toEqual(['enqueued', 'enqueued'])
    expect((await metByLast).map(({ kind }) => kind)).toEqual(['alreadyQueued', 'alreadyQueued'])
    await last.query('commit')
  })

  it('are had by what leaves others alone, where their work is nowhere', async () => {
    await runtime.rows(
      `insert into "JobUnique" ("name", "key", "workId") select 'mail', unnest(array['a', 'b', 'c']), gen_random_uuid()`,
    )
    const results = await queue.client.enqueueMany(await begin(), mail, [
      { payload: {}, options: { uniqueKey: 'a' } },
      { payload: {}, options: { uniqueKey: 'b', onConflict: 'replace' } },
      { payload: {}, options: { uniqueKey: 'c' } },
    ])
    expect(results.map(({ kind }) => kind)).toEqual(['enqueued', 'enqueued', 'enqueued'])
  })
})
