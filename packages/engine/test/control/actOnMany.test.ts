// Not quick: lets acts of two people meet claims, failures, locks, kills and closed tabs in many orders.
import { openForTests } from '@roundsman/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { getWork, type ActOnManyRequest } from '../../src/client.ts'
import { actOnMany } from '../../src/control/actOnMany.ts'
import { defineJob, type EnqueueOptions } from '../../src/index.ts'
import { listJobActions, listRunActions } from '../../src/internal.ts'
import type { Database } from '../../src/store/database.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const parcel = defineJob({
  name: 'parcel',
  payload: z.strictObject({ tenant: z.number(), n: z.number().optional() }),
  label: ({ tenant }) => `tenant ${tenant}`,
  show: ['tenant'],
  retry: { limit: 0 },
})
const letter = defineJob({ name: 'letter' })
const by = { actor: 'admin@example.com', reason: 'they flood us' }
const broken = { code: 'broken', message: '' }

const runtime = useTestRuntime({ cleared: ['JobAction'] })
const opened = openForTests(() => openTestQueue(runtime, [parcel, letter]))

const enqueue = async (tenant: number, options?: EnqueueOptions) =>
  (await opened.client.enqueueNow(parcel, { tenant }, options)).workId
/** One call, which looks at `most` pieces. */
const call = async (
  request: ActOnManyRequest,
  most = 2,
  database: Pick<Database, 'transaction'> = runtime.database,
) => await database.transaction((tx) => actOnMany(tx, request, () => undefined, most))
const idsOf = (table: string) => runtime.column<string>(`select "id"::text as "id" from "${table}"`)
const piecesOf = (actor: string) =>
  runtime.column<string>(
    `select unnest("pieces")::text as "id" from "JobAction" where "actor" = $1`,
    [actor],
  )
/** Calls until nothing is left. */
async function finish(request: ActOnManyRequest, most?: number) {
  const calls = [await call(request, most)]
  for (;;) {
    const { left, mark } = calls.at(-1) as (typeof calls)[number]
    if (left === 0) return calls
    calls.push(await call({ ...request, mark }, most))
  }
}
async function fail(tenant: number, options?: EnqueueOptions): Promise<string> {
  const workId = await enqueue(tenant, options)
  await opened.fail(await opened.take('parcel'), broken, 'giveUp')
  return workId
}
const cancelAll: ActOnManyRequest = { ...by, kind: 'cancelWork', which: 'all' }
const redriveAll: ActOnManyRequest = { ...by, kind: 'redrive', which: 'all' }

describe('an act on many', () => {
  it('does what matched at its first call, and leaves alone what came later', async () => {
    const [mine, theirs, also] = [await enqueue(42), await enqueue(7), await enqueue(42)]
    const which = { shown: { field: 'tenant', value: '42' } }
    const request: ActOnManyRequest = { ...by, kind: 'cancelWork', which }
    const first = await call(request, 1)
    expect(first).toMatchObject({ done: 1, passed: {}, left: 1 })
    const after = await enqueue(42)
    const second = await call({ ...request, mark: first.mark }, 1)
    expect(second).toMatchObject({ done: 1, passed: {}, left: 0 })
    expect(await call({ ...request, mark: second.mark }, 1)).toMatchObject({ done: 0, left: 0 })
    expect((await idsOf('JobWork')).toSorted()).toEqual([theirs, after].toSorted())
    for (const workId of [mine, also]) {
      expect(await getWork(runtime.reader, parcel, workId)).toEqual({
        kind: 'failed',
        errorCode: 'cancelled',
      })
      expect(await opened.client.result(parcel, workId)).toEqual({ kind: 'cancelled', runId: null })
    }
  })

  it('goes on as workers do: by priority what is ready, then by time what is due later', async () => {
    const at = (hour: number) => new Date(Date.UTC(2031, 0, 1, hour))
    const make = async () => [
      await enqueue(42, { startAfter: at(1) }),
      await enqueue(42, { startAfter: at(2), priority: 9 }),
      await enqueue(42, { priority: 1 }),
      await enqueue(42),
    ]
    const [third, fourth, first, second] = await make()
    await finish(cancelAll, 1)
    expect(await piecesOf(by.actor)).toEqual([first, second, third, fourth])
  })

  it('never meets again what it has retried and has failed again', async () => {
    const letters = [await fail(1), await fail(2), await fail(3)]
    const first = await call(redriveAll)
    expect(first).toMatchObject({ done: 2, left: 1 })
    await opened.fail(await opened.take('parcel'), broken, 'giveUp')
    const second = await call({ ...redriveAll, mark: first.mark })
    expect(second).toMatchObject({ done: 1, left: 0 })
    expect((await idsOf('JobDeadLetter')).toSorted()).toEqual(letters.slice(0, 2).toSorted())
    expect(await call(redriveAll)).toMatchObject({ done: 2 })
  })

  it('meets nothing that newer work has replaced since, which has the same id', async () => {
    const options = { uniqueKey: 'k', onConflict: 'replace' } as const
    await enqueue(1)
    const workId = await enqueue(42, options)
    const first = await call(cancelAll, 1)
    expect(await enqueue(7, options)).toBe(workId)
    expect(await call({ ...cancelAll, mark: first.mark }, 1)).toMatchObject({ done: 0, left: 0 })
    expect(await idsOf('JobWork')).toEqual([workId])
    const begun = await runtime.prisma.$transaction(async (tx) => {
      await opened.client.enqueue(tx, parcel, { tenant: 8 }, options)
      return await call(cancelAll)
    })
    expect(begun).toMatchObject({ done: 0, passed: { locked: 1 } })
    expect(await call({ ...cancelAll, mark: begun.mark })).toMatchObject({ done: 0 })
    expect(await call(cancelAll)).toMatchObject({ done: 1 })
  })

  it('passes over what others hold, and does not come back to it', async () => {
    const [held] = [await enqueue(1), await enqueue(2), await enqueue(3)]
    const first = await runtime.database.transaction(async (tx) => {
      await tx.query(`select from "JobWork" where "id" = $1 for update`, [held])
      return await call(cancelAll)
    })
    expect(first).toMatchObject({ done: 1, passed: { locked: 1 }, left: 1 })
    expect(await call({ ...cancelAll, mark: first.mark })).toMatchObject({ done: 1, left: 0 })
    expect(await idsOf('JobWork')).toEqual([held])
  })

  it('knows rows whose transactions are older than the count of 32 bits goes back', async () => {
    await enqueue(1)
    await enqueue(2)
    const { mark } = await call(cancelAll, 1)
    await runtime.rows('vacuum (freeze) "JobWork"')
    expect(await call({ ...cancelAll, mark }, 1)).toMatchObject({ done: 1 })
  })

  it('does given ids in parts, in their order, and says which are gone', async () => {
    const [first, second, third] = [await enqueue(1), await enqueue(2), await enqueue(3)]
    const gone = crypto.randomUUID()
    const ids = [gone, third!, second!, first!]
    const calls = await finish({ ...by, kind: 'cancelWork', which: { ids } })
    expect(calls).toMatchObject([
      { done: 1, passed: { gone: 1 }, left: 2 },
      { done: 2, passed: {}, left: 0 },
    ])
    expect(await piecesOf(by.actor)).toEqual([third, first, second])
  })

  it('is a record for each call and job, which names its pieces', async () => {
    const [mine, taken] = [await enqueue(42), await enqueue(42, { priority: 1 })]
    await enqueue(7)
    await opened.client.enqueueNow(letter, {})
    await opened.take('parcel', 1)
    await call(cancelAll, 10)
    const line = { action: 'cancelWork', ...by }
    expect(await listJobActions(runtime.reader, 'parcel', 5)).toMatchObject([{ ...line, count: 2 }])
    expect(await listJobActions(runtime.reader, 'letter', 5)).toMatchObject([{ ...line, count: 1 }])
    const ofMine = await listRunActions(runtime.reader, { id: mine, workId: mine })
    expect(ofMine).toMatchObject([{ ...line, count: 2 }])
    expect(await listRunActions(runtime.reader, { id: taken, workId: taken })).toEqual([])
  })

  it('counts a thousand pieces in one line of the record', async () => {
    await opened.client.enqueueManyNow(
      parcel,
      Array.from({ length: 1_500 }, () => ({ payload: { tenant: 1 } })),
    )
    const first = await opened.client.actOnMany(cancelAll)
    expect(first).toMatchObject({ done: 1_000, left: 500 })
    const [last] = await idsOf('JobWork')
    expect(await listJobActions(runtime.reader, 'parcel', 5)).toMatchObject([{ count: 1_000 }])
    await opened.client.actOnMany({ ...cancelAll, mark: first.mark })
    const ofLast = await listRunActions(runtime.reader, { id: last!, workId: last! })
    expect(ofLast).toMatchObject([{ count: 500 }])
  })

  it('refuses a filter that says nothing, which would be all', async () => {
    const wrong = { lable: 'tenant 42' } as object
    const cancel = { ...by, kind: 'cancelWork' } as const
    await expect(call({ ...cancel, which: wrong })).rejects.toThrow('request.which')
    await expect(call({ ...cancel, which: {} })).rejects.toThrow('request.which')
    await expect(call({ actor: 'a', kind: 'discard', which: 'all' } as never)).rejects.toThrow(
      'request.reason',
    )
  })

  it('refuses the mark of another request or another database, and one that is broken', async () => {
    await enqueue(42)
    const { mark } = await call(cancelAll)
    const startAfter = new Date(Date.UTC(2031, 0, 1))
    const others: ActOnManyRequest[] = [
      { ...cancelAll, kind: 'discard' },
      { ...cancelAll, which: { name: 'parcel' } },
      { ...cancelAll, kind: 'postponeWork', startAfter },
    ]
    for (const request of others)
      await expect(call({ ...request, mark })).rejects.toThrow(/^request\.mark is not of a call/)
    for (const wrong of ['', 'x', `${mark}x`, mark.slice(1), mark.replace('.', '..')])
      await expect(call({ ...cancelAll, mark: wrong })).rejects.toThrow(/^request\.mark /)
    await runtime.rows(`update "JobMigration" set "appliedAt" = "appliedAt" - interval '1 day'`)
    try {
      await expect(call({ ...cancelAll, mark })).rejects.toThrow(
        'request.mark is of another database',
      )
    } finally {
      await runtime.rows(`update "JobMigration" set "appliedAt" = "appliedAt" + interval '1 day'`)
    }
    expect(await call({ ...cancelAll, mark, actor: 'b', reason: 'go on' })).toMatchObject({
      done: 0,
      left: 0,
    })
  })

  it('in the caller’s transaction is done if and only if that commits', async () => {
    const mine = await enqueue(42)
    const rolledBack = runtime.prisma.$transaction(async (tx) => {
      await opened.client.enqueue(tx, parcel, { tenant: 1 })
      expect(await opened.client.actOnMany(cancelAll, { tx })).toMatchObject({ done: 2, left: 0 })
      throw new Error('no')
    })
    await expect(rolledBack).rejects.toThrow('no')
    expect(await idsOf('JobWork')).toEqual([mine])
    expect(await runtime.rows('select from "JobAction"')).toEqual([])
    await runtime.prisma.$transaction((tx) => opened.client.actOnMany(cancelAll, { tx }))
    expect(await idsOf('JobWork')).toEqual([])
  })

  it('meets nothing twice when all calls are in one transaction', async () => {
    for (let n = 0; n < 3; n++) await enqueue(42)
    const request: ActOnManyRequest = { ...by, kind: 'prioritiseWork', which: 'all', priority: -5 }
    await runtime.database.transaction(async (tx) => {
      await tx.query('select pg_current_xact_id()')
      await enqueue(7)
      const once = async (mark?: string) =>
        await actOnMany(tx, { ...request, mark }, () => undefined, 2)
      const first = await once()
      expect(await once(first.mark)).toMatchObject({ done: 2, passed: {}, left: 0 })
    })
  })

  it('that fails leaves other acts alone, and has done nothing', async () => {
    const [parcelId] = [await enqueue(42)]
    await opened.client.enqueueNow(letter, {})
    await runtime.rows(`
      create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not today'; end $$;
      create trigger refuse before delete on "JobWork" for each row when (old."name" = 'parcel') execute function refuse()`)
    try {
      await expect(call(cancelAll)).rejects.toThrow('not today')
      expect(await idsOf('JobWork')).toHaveLength(2)
      expect(await runtime.rows('select from "JobAction"')).toEqual([])
      expect(await call({ ...cancelAll, which: { name: 'letter' } })).toMatchObject({ done: 1 })
    } finally {
      await runtime.rows('drop trigger refuse on "JobWork"; drop function refuse')
    }
    expect(await idsOf('JobWork')).toEqual([parcelId])
  })

  it('passes over work that has ended its workers, work of unknown jobs and held keys', async () => {
    const letters = [await fail(1, { uniqueKey: 'a' }), await fail(2), await fail(3), await fail(4)]
    await runtime.rows(`update "JobDeadLetter" set "losses" = 2 where "id" = $1`, [letters[1]])
    await runtime.rows(`update "JobDeadLetter" set "name" = 'stranger' where "id" = $1`, [
      letters[2],
    ])
    await enqueue(9, { uniqueKey: 'a' })
    expect(await call({ ...redriveAll, jobs: [parcel] } as ActOnManyRequest, 10)).toMatchObject({
      done: 1,
      left: 0,
      passed: { alreadyQueued: 1, endedWorkers: 1, unknown: 1 },
    })
    expect(await idsOf('JobDeadLetter')).toHaveLength(3)
  })

  it('cancels the runs under way that match, and none that began later', async () => {
    for (const tenant of [42, 42, 7]) await enqueue(tenant)
    await opened.take('parcel')
    const cancel = { ...by, kind: 'cancel' } as const
    expect(await call({ ...cancel, which: { label: 'nobody' } })).toMatchObject({ done: 0 })
    const which = { name: 'parcel' }
    const first = await call({ ...cancel, which })
    await enqueue(42)
    await opened.take('parcel')
    const second = await call({ ...cancel, which, mark: first.mark })
    expect([first, second]).toMatchObject([
      { done: 2, left: 1 },
      { done: 1, passed: {}, left: 0 },
    ])
    expect(await call({ ...cancel, which }, 4)).toMatchObject({ done: 1, passed: { unchanged: 3 } })
    expect(await runtime.rows('select "requestedBy" as "by", "reason" from "JobCancel"')).toEqual(
      Array.from({ length: 4 }, () => ({ by: by.actor, reason: by.reason })),
    )
  })
})
