// Not quick: lets acts of two people meet claims, failures, locks, kills and closed tabs in many orders.
import { openForTests } from '@roundsman/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { getWork, type ActOnManyRequest } from '../../src/client.ts'
import { actOnMany } from '../../src/control/actOnMany.ts'
import { defineJob, type EnqueueOptions } from '../../src/index.ts'
import { listJobActions, listRunActions } from '../../src/internal.ts'
import type { Database } from '../../src/database/database.ts'
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
    const held = await enqueue(1)
    for (let n = 0; n < 2; n++) await enqueue(2)
    const first = await runtime.database.transaction(async (tx) => {
      await tx.query(`select from "JobWork" where "id" = $1 for update`, [held])
      return await call(cancelAll)
    })
    expect(first).toMatchObject({ done: 1, passed: { locked: 1 }, left: 1 })
    expect(await call({ ...cancelAll, mark: first.mark })).toMatchObject({ done: 1, left: 0 })
    expect(await idsOf('JobWork')).toEqual([held])
  })

  it('knows rows that PostgreSQL has frozen meanwhile', async () => {
    await enqueue(1)
    await enqueue(2)
    const { mark } = await call(cancelAll, 1)
    await runtime.rows('vacuum (freeze) "JobWork"')
    expect(await call({ ...cancelAll, mark }, 1)).toMatchObject({ done: 1 })
  })

  it('does given ids in parts, in their order, and says which are gone', async () => {
    const [first, second, third] = [await enqueue(1), await enqueue(2), await enqueue(3)]
    const gone = crypto.randomUUID()
    const ids = [gone, third, second, first]
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
    const parcelId = await enqueue(42)
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
    // No call meets again what one before has passed over.
    expect(await finish({ ...redriveAll, jobs: [parcel] }, 2)).toMatchObject([
      { done: 0, passed: { alreadyQueued: 1, endedWorkers: 1 }, left: 2 },
      { done: 1, passed: { unknown: 1 }, left: 0 },
    ])
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

const command = fc.oneof(
  fc.record({
    do: fc.constant('enqueue' as const),
    tenant: fc.integer({ min: 1, max: 2 }),
    key: fc.option(fc.constantFrom('a', 'b')),
    isLater: fc.boolean(),
    replaces: fc.boolean(),
  }),
  fc.record({
    do: fc.constantFrom('work', 'work', 'claim', 'fail', 'redeliver', 'complete'),
    many: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    do: fc.constant('begin' as const),
    admin: fc.constantFrom('ann', 'bob'),
    kind: fc.constantFrom(
      ...([
        'redrive',
        'redrive',
        'discard',
        'cancelWork',
        'postponeWork',
        'prioritiseWork',
      ] as const),
    ),
    tenant: fc.option(fc.integer({ min: 1, max: 2 })),
    most: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    do: fc.constant('call' as const),
    act: fc.nat(3),
    how: fc.constantFrom('alone', 'alone', 'killed', 'unanswered', 'unanswered', 'byTwo', 'locked'),
  }),
  fc.record({ do: fc.constant('close' as const), act: fc.nat(3) }),
)
type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never

/** An act as one admin's tab knows it, and what it may meet. */
interface Tab {
  actor: string
  request: ActOnManyRequest
  mark: string | undefined
  most: number
  isClosed: boolean
  /** What is ahead of it, in its order, with how often each had changed when the act began. */
  ahead: { id: string; changes: number }[]
  done: string[]
  startAfter: Date
  priority: number
}

/** A process that ends before its call is committed, or whose answer is lost. */
const gone = (when: 'killed' | 'unanswered'): Pick<Database, 'transaction'> => ({
  async transaction(work) {
    if (when === 'unanswered') {
      await runtime.database.transaction(work)
      throw new Error('unanswered')
    }
    return await runtime.database.transaction(async (tx) => {
      await work(tx)
      throw new Error('killed')
    })
  },
})

/** What the draws have led to, so that none of it goes untested. */
const seen = { failedAgain: 0, changed: 0, leftByClosed: 0, lost: 0 }

describe('acts of two admins, beside workers that fail and redeliver, kills, locks and closed tabs', () => {
  it('do each piece that matched at their first call at most once, and touch nothing that came or changed since', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 10, maxLength: 50 }), async (commands) => {
        await runtime.clear('JobAction')
        expect(await playAll(commands)).toBe('as the model says')
      }),
      { numRuns: 80, endOnFailure: true },
    )
    for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(0)
  }, 300_000)
})

async function playAll(commands: readonly Command[]): Promise<string> {
  const tabs: Tab[] = []
  const taken = [] as Awaited<ReturnType<typeof opened.take>>
  /** How often each piece has changed: been taken, given back, replaced, placed or acted on. */
  const changes = new Map<string, number>()
  const places = new Map<string, string | null>()
  const hasChanged = (id: string) => changes.set(id, (changes.get(id) ?? 0) + 1)

  /** What the tables say of all that acts can meet. */
  async function look() {
    const work = await runtime.rows<{
      id: string
      tenant: string
      due: Date
      rank: number
      place: string | null
    }>(
      `select "id"::text as "id", "facts" #>> '{shown,tenant}' as "tenant", "dueAt" as "due", "rank", "place"::text as "place"
       from "JobWork" work order by work."place" is null, case when work."place" is not null then "rank" end, work."place", "dueAt", work."id"`,
    )
    for (const { id, place } of work) {
      // A worker has placed what has become due.
      if (places.has(id) && places.get(id) !== place) hasChanged(id)
      places.set(id, place)
    }
    const letters = await runtime.rows<{ id: string; tenant: string; key: string | null }>(
      `select "id"::text as "id", "facts" #>> '{shown,tenant}' as "tenant", "uniqueKey" as "key" from "JobDeadLetter"
       order by "failedAt", "id"`,
    )
    const held = await runtime.rows<{ key: string; id: string }>(
      `select "key", "workId"::text as "id" from "JobUnique"`,
    )
    return { work, letters, held: new Map(held.map(({ key, id }) => [key, id])) }
  }

  const isOfLetters = ({ request }: Tab) => request.kind === 'redrive' || request.kind === 'discard'

  /** What the next call has to do: it meets the first of those ahead that are as they were. */
  async function foresee(tab: Tab, locked: ReadonlySet<string>) {
    const { work, letters, held } = await look()
    const there = new Set((isOfLetters(tab) ? letters : work).map(({ id }) => id))
    const same = tab.ahead.filter((one) => there.has(one.id) && changes.get(one.id) === one.changes)
    const met = same.slice(0, tab.most).map(({ id }) => id)
    const done: string[] = []
    const passed: Record<string, number> = {}
    const pass = (reason: string) => (passed[reason] = (passed[reason] ?? 0) + 1)
    for (const id of met) {
      const piece = work.find((one) => one.id === id)
      const key = letters.find((one) => one.id === id)?.key ?? null
      const { kind } = tab.request
      const isSo =
        kind === 'postponeWork'
          ? piece?.place === null && piece.due >= tab.startAfter
          : kind === 'prioritiseWork' && piece?.rank === -tab.priority
      if (locked.has(id)) pass('locked')
      else if (isSo) pass('unchanged')
      else if (kind === 'redrive' && key !== null && (held.get(key) ?? id) !== id)
        pass('alreadyQueued')
      else {
        if (kind === 'redrive' && key !== null) held.set(key, id)
        done.push(id)
      }
    }
    const ahead = met.length === 0 ? [] : same.slice(met.length)
    return { met, done, passed, left: ahead.length, ahead }
  }

  async function noteDone(tab: Tab): Promise<string[]> {
    const all = await piecesOf(tab.actor)
    expect(new Set(all).size).toBe(all.length)
    const before = new Set(tab.done)
    const now = all.filter((id) => !before.has(id))
    tab.done = all
    for (const id of now) {
      hasChanged(id)
      // What the act has placed or postponed is not changed once more when it is looked at.
      places.delete(id)
    }
    return now
  }

  async function makeCall(tab: Tab, how: string): Promise<void> {
    const again = { ...tab.request, mark: tab.mark } as ActOnManyRequest
    if (how === 'killed') {
      await expect(call(again, tab.most, gone('killed'))).rejects.toThrow('killed')
      return
    }
    if (how === 'byTwo') {
      const { met, ahead } = await foresee(tab, new Set())
      const may = new Set([...met, ...ahead.map(({ id }) => id)])
      await Promise.all([call(again, tab.most), call(again, tab.most)])
      const done = await noteDone(tab)
      expect(done.filter((id) => !may.has(id))).toEqual([])
      // The model does not know which of both came first.
      tab.isClosed = true
      return
    }
    const [first] = tab.ahead
    const locked = how === 'locked' && first !== undefined ? [first.id] : []
    const foreseen = await foresee(tab, new Set(locked))
    seen.changed += tab.ahead.length - foreseen.met.length - foreseen.left
    if (how === 'unanswered') {
      await expect(call(again, tab.most, gone('unanswered'))).rejects.toThrow('unanswered')
      // Without a mark the next call would begin another act.
      if (tab.mark === undefined) tab.isClosed = true
      expect((await noteDone(tab)).toSorted()).toEqual(foreseen.done.toSorted())
      seen.lost += foreseen.done.length
      return
    }
    const { done, passed, left, mark } = await runtime.database.transaction(async (tx) => {
      for (const table of ['JobWork', 'JobDeadLetter'])
        await tx.query(`select from "${table}" where "id" = any($1) for update`, [locked])
      return await call(again, tab.most)
    })
    expect({ done, passed, left }).toEqual({
      done: foreseen.done.length,
      passed: foreseen.passed,
      left: foreseen.left,
    })
    expect((await noteDone(tab)).toSorted()).toEqual(foreseen.done.toSorted())
    tab.ahead = foreseen.ahead
    tab.mark = mark
  }

  async function end(how: 'fail' | 'redeliver' | 'complete', many: number): Promise<void> {
    const ending = taken.splice(0, many)
    if (how === 'complete') await opened.complete(ending)
    else await opened.fail(ending, broken, how === 'fail' ? 'giveUp' : 'redeliver')
    for (const { workId } of ending) {
      hasChanged(workId)
      places.delete(workId)
      if (how !== 'fail') continue
      seen.failedAgain += tabs.filter(
        ({ done, ahead, isClosed }) => !isClosed && ahead.length > 0 && done.includes(workId),
      ).length
    }
  }

  async function claim(many: number): Promise<void> {
    const claimed = await opened.take('parcel', many)
    for (const { workId } of claimed) hasChanged(workId)
    taken.push(...claimed)
    await look()
  }

  async function play(one: Command): Promise<void> {
    switch (one.do) {
      case 'enqueue': {
        const id = await enqueue(one.tenant, {
          ...(one.key !== null && { uniqueKey: one.key }),
          ...(one.key !== null && one.replaces && { onConflict: 'replace' as const }),
          ...(one.isLater && { startAfter: new Date(Date.now() + 3_600_000) }),
        })
        // Work with its key that was there stays as it is unless this replaces it.
        if (!changes.has(id) || one.replaces) {
          hasChanged(id)
          places.delete(id)
        }
        return
      }
      case 'claim':
        return await claim(one.many)
      case 'fail':
      case 'redeliver':
      case 'complete':
        return await end(one.do, one.many)
      case 'work':
        // A worker takes some and fails.
        await claim(one.many)
        return await end('fail', one.many)
      case 'begin': {
        const { kind, tenant, most } = one
        // Each has values of its own, so that the tables tell which was last.
        const startAfter = new Date(Date.UTC(2100, 0, 1 + tabs.length))
        const priority = tabs.length + 1
        const actor = `${one.admin} ${tabs.length}`
        const which =
          tenant === null ? 'all' : { shown: { field: 'tenant', value: String(tenant) } }
        const request = {
          ...{ actor, reason: by.reason, kind, which },
          ...(kind === 'postponeWork' && { startAfter }),
          ...(kind === 'prioritiseWork' && { priority }),
        } as ActOnManyRequest
        const tab: Tab = {
          ...{ actor, request, mark: undefined, most, isClosed: false },
          ...{ ahead: [], done: [], startAfter, priority },
        }
        const { work, letters } = await look()
        tab.ahead = (isOfLetters(tab) ? letters : work)
          .filter((piece) => tenant === null || piece.tenant === String(tenant))
          .map(({ id }) => ({ id, changes: changes.get(id) ?? 0 }))
        tabs.push(tab)
        return await makeCall(tab, 'alone')
      }
      case 'call': {
        const tab = tabs.at(-1 - (one.act % Math.max(tabs.length, 1)))
        if (tab !== undefined && !tab.isClosed) await makeCall(tab, one.how)
        return
      }
      case 'close': {
        const tab = tabs.at(-1 - (one.act % Math.max(tabs.length, 1)))
        if (tab !== undefined) tab.isClosed = true
        return
      }
      default:
        return one satisfies never
    }
  }

  for (let n = 0; n < 6; n++)
    await play({ do: 'enqueue', tenant: 1 + (n % 2), key: null, isLater: false, replaces: false })
  await play({ do: 'work', many: 4 })
  for (const one of commands) await play(one)
  for (const tab of tabs) {
    if (tab.isClosed) seen.leftByClosed += tab.ahead.length
    while (!tab.isClosed && tab.ahead.length > 0) await makeCall(tab, 'alone')
    // Nobody else's calls have gone on with a closed tab's act.
    expect(await piecesOf(tab.actor)).toEqual(tab.done)
  }
  return 'as the model says'
}
