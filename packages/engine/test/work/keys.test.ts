import { openForTests } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, type EnqueueOptions } from '../../src/index.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const define = (order: 'fair' | 'fifo') =>
  defineJob({
    name: 'sync',
    payload: z.object({ tenant: z.string().nullable().default('of the schema') }),
    retry: { limit: 0 },
    partition: {
      order,
      key: ({ tenant }) => {
        if (tenant === 'broken') throw new Error('no')
        return tenant
      },
    },
  })
const sync = define('fair')
const plain = defineJob({ name: 'plain' })

const runtime = useTestRuntime({ cleared: ['JobAction', 'JobSchedule', 'JobTick'] })
const queue = openForTests(() => openTestQueue(runtime, [sync, plain]))
const { enqueue, enqueueMany } = {
  enqueue: async (tenant: string | null, options?: EnqueueOptions) =>
    (await queue.client.enqueueNow(sync, { tenant }, options)).workId,
  enqueueMany: (tenants: readonly string[]) =>
    queue.client.enqueueManyNow(
      sync,
      tenants.map((tenant) => ({ payload: { tenant } })),
    ),
}
const keys = (table = 'JobWork') =>
  runtime.column<string | null>(`select "key" from "${table}" order by "key" collate "C"`)

describe('the key of work', () => {
  it('is stored by every way in, an empty one where the payload has none', async () => {
    await enqueue('a')
    await enqueue('b', { uniqueKey: 'u' })
    await enqueueMany(['c', 'd'])
    await queue.client.requestRun(sync, { actor: 'x', reason: 'y', payload: { tenant: 'e' } })
    await queue.client.enqueueNow(sync, {} as { tenant: string })
    await enqueue(null)
    expect(await keys()).toEqual(['', 'a', 'b', 'c', 'd', 'e', 'of the schema'])
  })

  it('is none of a job without keys', async () => {
    await queue.client.enqueueNow(plain, {})
    expect(await keys()).toEqual([null])
  })

  it('is that of the newer payload where work is replaced', async () => {
    await enqueue('a', { uniqueKey: 'u' })
    await enqueue('b', { uniqueKey: 'u', onConflict: 'replace' })
    expect(await keys()).toEqual(['b'])
  })

  it('stays with its work through a retry, a dead letter and what comes of that', async () => {
    const id = await enqueue('a')
    await queue.fail(await queue.take('sync'), { code: 'broken', message: '' }, 'retry')
    expect(await keys('JobDeadLetter')).toEqual(['a'])
    await queue.client.redriveDeadLetters({ ids: [id] }, { actor: 'x', reason: 'y' })
    expect(await keys()).toEqual(['a'])
    await queue.fail(await queue.take('sync'), { code: 'broken', message: '' }, 'redeliver')
    expect(await keys()).toEqual(['a'])
  })

  it('stays with the run of a person that its guard has blocked, once that is approved', async () => {
    await queue.client.requestRun(sync, { actor: 'x', reason: 'y', payload: { tenant: 'a' } })
    const taken = await queue.take('sync')
    await queue.fail(taken, { code: 'guard_blocked', message: '' }, 'giveUp')
    const [run] = await runtime.rows<{ id: string }>(
      `update "JobRun" set "details" = '{"guard": {"due": 5}}' returning "id"::text`,
    )
    const approved = await queue.client.approveRun(run!.id, { actor: 'x', reason: 'y' })
    expect(approved).toMatchObject({ kind: 'approved' })
    expect(await keys()).toEqual(['a'])
  })

  it('is refused before anything is written where its function throws', async () => {
    await expect(enqueueMany(['a', 'broken'])).rejects.toMatchObject({ code: 'payload_invalid' })
    await expect(enqueue('broken')).rejects.toThrow('the key function of its job has thrown')
    expect(await keys()).toEqual([])
  })

  it('is that of the payload of a schedule kept as data, and none where that has none any more', async () => {
    const { schedules } = queue.client
    // No tick of its own is due in the hours that this moves it to.
    const at = { cron: '0 9 29 2 *', actor: 'x' }
    await schedules.upsert(null, sync, { ...at, key: 'one', payload: { tenant: 'a' } })
    await schedules.trigger(null, sync, 'one', { actor: 'x', reason: 'y' })
    expect(await keys()).toEqual(['a'])
    await runtime.clear()
    const decide = async (hoursAgo: number) => {
      await runtime.rows(
        `
        update "JobSchedule" set "nextAt" = at, "dueAt" = at, "cursor" = at - interval '1 minute'
        from (select date_trunc('hour', now()) - $1 * interval '1 hour' as at) hour`,
        [hoursAgo],
      )
      await schedules.delete(null, sync, 'one', { actor: 'x' })
    }
    await decide(2)
    expect(await keys()).toEqual(['a'])

    const broken = { ...at, key: 'one', payload: { tenant: 'broken' } }
    await expect(schedules.upsert(null, sync, broken)).rejects.toMatchObject({
      code: 'payload_invalid',
    })
    await schedules.upsert(null, sync, { ...broken, payload: { tenant: 'b' } })
    await runtime.rows(`update "JobSchedule" set "payload" = '{"tenant": "broken"}'`)
    await decide(1)
    expect(await keys()).toEqual(['', 'a'])
  })
})

it('has no priority where the order is that of the enqueues', async () => {
  const fifo = define('fifo')
  const put = (priority: number) => queue.client.enqueueNow(fifo, { tenant: 'a' }, { priority })
  await expect(put(1)).rejects.toThrow('fifo')
  await put(0)
  expect(await keys()).toEqual(['a'])
})
