// Not quick: lets acts meet claims, locks, stops and kills in many orders.
import { openForTests, waitFor } from '@roundsman/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { getBulk, getWork, listBulks, type BulkAct, type BulkRequest } from '../../src/client.ts'
import { carryOnBulk, createBulkCarrier } from '../../src/control/carryOnBulk.ts'
import { startBulk } from '../../src/control/startBulk.ts'
import { defineJob, type EnqueueOptions } from '../../src/index.ts'
import { listJobActions, listRunActions } from '../../src/internal.ts'
import type { Database } from '../../src/store/database.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { startTestWorker } from '../startTestWorker.ts'

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

const runtime = useTestRuntime({ cleared: ['JobAction', 'JobBulk', 'JobBulkPart'] })
const opened = openForTests(() => openTestQueue(runtime, [parcel, letter]))

const enqueue = async (tenant: number, options?: EnqueueOptions) =>
  (await opened.client.enqueueNow(parcel, { tenant }, options)).workId
/** Asks for an act of which nobody makes a step. */
const ask = async (request: BulkRequest, partSize = 2) =>
  await runtime.database.transaction((tx) => startBulk(tx, request, { partSize }))
const step = (id: string | null, database: Pick<Database, 'transaction'> = runtime.database) =>
  carryOnBulk(database, id, { partsAtOnce: 1 })
const read = async (id: string) => (await getBulk(runtime.reader, id)) as BulkAct
const idsOf = (table: string) => runtime.column<string>(`select "id"::text as "id" from "${table}"`)
async function finish(id: string): Promise<BulkAct> {
  while ((await step(id)) !== null);
  return await read(id)
}
async function fail(tenant: number, options?: EnqueueOptions): Promise<string> {
  const workId = await enqueue(tenant, options)
  await opened.fail(await opened.take('parcel'), broken, 'giveUp')
  return workId
}

describe('an act on many', () => {
  it('does what matched when it was asked for, and leaves alone what came later', async () => {
    const [mine, theirs, later] = [await enqueue(42), await enqueue(7), await enqueue(42)]
    const id = await ask(
      { ...by, kind: 'cancelWork', which: { shown: { field: 'tenant', value: '42' } } },
      1,
    )
    const after = await enqueue(42)
    const done = await finish(id)
    expect(done).toMatchObject({ matched: 2, done: 2, left: 0, passed: {}, names: ['parcel'] })
    expect(done.endedAt).not.toBeNull()
    expect((await idsOf('JobWork')).toSorted()).toEqual([theirs, after].toSorted())
    for (const workId of [mine, later]) {
      expect(await getWork(runtime.reader, parcel, workId)).toEqual({
        kind: 'failed',
        errorCode: 'cancelled',
      })
      expect(await opened.client.result(parcel, workId)).toEqual({ kind: 'cancelled', runId: null })
    }
  })

  it('goes on as workers do: by priority what is ready, then by time what is due later', async () => {
    const at = (hour: number) => new Date(Date.UTC(2031, 0, 1, hour))
    const [third, fourth, first, second] = [
      await enqueue(42, { startAfter: at(1) }),
      await enqueue(42, { startAfter: at(2), priority: 9 }),
      await enqueue(42, { priority: 1 }),
      await enqueue(42),
    ]
    const inOrder = [first, second, third, fourth]
    for (const which of ['all', { ids: inOrder.toReversed() }] as const) {
      const id = await ask({ ...by, kind: 'cancelWork', which }, 1)
      expect(
        await runtime.rows(
          `select "ids"[1]::text as "id" from "JobBulkPart" where "bulkId" = $1 order by "part"`,
          [id],
        ),
      ).toEqual(inOrder.map((workId) => ({ id: workId })))
    }
  })

  it('is one line in the record, of each of its jobs and of each piece that it has done', async () => {
    const [mine, taken] = [await enqueue(42), await enqueue(42, { priority: 1 })]
    await opened.client.enqueueNow(letter, {})
    const id = await ask({ ...by, kind: 'cancelWork', which: 'all' }, 10)
    await opened.take('parcel', 1)
    await finish(id)
    const line = {
      action: 'cancelWork',
      ...by,
      bulk: { id, matched: 3, done: 2, left: 0, isCut: false, stoppedBy: null },
    }
    for (const name of ['parcel', 'letter'])
      expect(await listJobActions(runtime.reader, name, 5)).toMatchObject([line])
    expect(await listRunActions(runtime.reader, { id: mine, workId: mine })).toMatchObject([line])
    expect(await listRunActions(runtime.reader, { id: taken, workId: taken })).toEqual([])
    expect(await runtime.rows('select from "JobAction"')).toEqual([])
  })

  it('refuses a filter that says nothing, which would be all', async () => {
    const wrong = { lable: 'tenant 42' } as object
    await expect(ask({ ...by, kind: 'cancelWork', which: wrong })).rejects.toThrow('request.which')
    await expect(ask({ ...by, kind: 'cancelWork', which: {} })).rejects.toThrow('request.which')
    await expect(ask({ actor: 'a', kind: 'discard', which: 'all' } as never)).rejects.toThrow(
      'request.reason',
    )
  })

  it('that matches nothing has ended', async () => {
    const act = await opened.client.startBulk({ ...by, kind: 'discard', which: 'all' })
    expect(act).toMatchObject({ matched: 0, done: 0, left: 0 })
    expect(act.endedAt).not.toBeNull()
  })

  it('is done by whoever asked, and wakes the workers', async () => {
    for (let n = 0; n < 3; n++) await fail(n)
    const act = await opened.client.startBulk({ ...by, kind: 'redrive', which: 'all' })
    expect(act).toMatchObject({ matched: 3, done: 3, left: 0 })
    expect(await idsOf('JobDeadLetter')).toEqual([])
  })

  it('in the caller’s transaction is there if and only if that commits', async () => {
    const mine = await enqueue(42)
    const request: BulkRequest = { ...by, kind: 'cancelWork', which: 'all' }
    const rolledBack = runtime.prisma.$transaction(async (tx) => {
      expect(await opened.client.startBulk(request, { tx })).toMatchObject({ matched: 1, done: 0 })
      throw new Error('no')
    })
    await expect(rolledBack).rejects.toThrow('no')
    expect(await listBulks(runtime.reader, { limit: 5 })).toEqual([])
    await runtime.prisma.$transaction((tx) => opened.client.startBulk(request, { tx }))
    expect(await idsOf('JobWork')).toEqual([mine])
    expect(await listBulks(runtime.reader, { limit: 5, isOpen: true })).toHaveLength(1)
  })

  describe('of work that newer work has replaced', () => {
    const replaces = { uniqueKey: 'k', onConflict: 'replace' } as const
    const replace = async (tenant: number) =>
      await opened.client.enqueueNow(parcel, { tenant }, replaces)
    const request: BulkRequest = { ...by, kind: 'cancelWork', which: 'all' }

    it('leaves what came after it, which has the same id', async () => {
      const workId = await enqueue(42, { uniqueKey: 'k' })
      const id = await ask(request)
      expect((await replace(7)).workId).toBe(workId)
      expect(await finish(id)).toMatchObject({ done: 0, left: 0, passed: { replaced: 1 } })
      expect(await idsOf('JobWork')).toEqual([workId])
    })

    it('leaves what had begun to replace it, and was committed after it', async () => {
      const workId = await enqueue(42, { uniqueKey: 'k' })
      const id = await runtime.prisma.$transaction(async (tx) => {
        await opened.client.enqueue(tx, parcel, { tenant: 7 }, replaces)
        return await ask(request)
      })
      expect(await finish(id)).toMatchObject({ done: 0, passed: { replaced: 1 } })
      expect(await idsOf('JobWork')).toEqual([workId])
    })

    it('takes what had replaced it before', async () => {
      await enqueue(42, { uniqueKey: 'k' })
      await replace(7)
      expect(await finish(await ask(request))).toMatchObject({ done: 1, passed: {} })
      await enqueue(42, { uniqueKey: 'k' })
      // In the act's own transaction.
      const id = await runtime.database.transaction(async (tx) => {
        await tx.query(
          `update "JobWork" set "facts" = jsonb_build_object('replacedIn', pg_current_xact_id()::text)`,
        )
        return await startBulk(tx, request)
      })
      expect(await finish(id)).toMatchObject({ done: 1, passed: {} })
    })

    it('takes it in a database that was restored from another', async () => {
      await enqueue(42, { uniqueKey: 'k' })
      await replace(7)
      await runtime.rows(
        `update "JobWork" set "facts" = "facts" || '{"replacedIn": "9000000000000000000"}'`,
      )
      expect(await finish(await ask(request))).toMatchObject({ done: 1, passed: {} })
    })
  })

  it('whose process is gone is gone on with by a worker', async () => {
    for (let n = 0; n < 5; n++) await enqueue(42)
    const id = await ask({ ...by, kind: 'cancelWork', which: 'all' })
    await step(id)
    // As if seconds had passed.
    await runtime.rows(`update "JobBulk" set "movedAt" = "movedAt" - interval '4 seconds'`)
    await startTestWorker(runtime, { jobs: [letter], handlers: { letter: async () => undefined } })
    await waitFor(async () => (await read(id)).endedAt !== null)
    expect(await read(id)).toMatchObject({ done: 5, left: 0, passed: {} })
  })

  it('that somebody goes on with is left to them', async () => {
    await enqueue(42)
    const id = await ask({ ...by, kind: 'cancelWork', which: 'all' })
    expect(await step(null)).toBeNull()
    await runtime.rows(`update "JobBulk" set "movedAt" = "movedAt" - interval '4 seconds'`)
    await runtime.database.transaction(async (tx) => {
      await tx.query('select from "JobBulk" for update')
      expect(await step(null)).toBeNull()
      expect(await step(id)).toBeNull()
    })
    expect(await step(null)).toMatchObject({ id })
    expect(await read(id)).toMatchObject({ done: 1 })
  })

  it('that cannot go on says why, and goes on once it can', async () => {
    await enqueue(42)
    const id = await ask({ ...by, kind: 'cancelWork', which: 'all' })
    await runtime.rows(`
      create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not today'; end $$;
      create trigger refuse before delete on "JobWork" for each row execute function refuse()`)
    const carrier = createBulkCarrier({ ...runtime, onReady: () => undefined })
    carrier.wake(id)
    try {
      await waitFor(async () => (await read(id)).problem === 'not today')
      expect(await read(id)).toMatchObject({ done: 0, left: 1, endedAt: null })
    } finally {
      await runtime.rows('drop trigger refuse on "JobWork"; drop function refuse')
    }
    await waitFor(async () => (await read(id)).endedAt !== null)
    await carrier.stop()
    expect(await read(id)).toMatchObject({ done: 1, left: 0, problem: null })
  })

  it('stays stopped: what it has done is done, and the rest is as it was', async () => {
    for (let n = 0; n < 3; n++) await enqueue(42)
    const id = await ask({ ...by, kind: 'cancelWork', which: 'all' })
    await step(id)
    expect(await opened.client.stopBulk(id, { actor: 'b' })).toBe('stopped')
    expect(await opened.client.stopBulk(id, { actor: 'c' })).toBe('ended')
    expect(await opened.client.stopBulk(crypto.randomUUID(), { actor: 'c' })).toBe('notFound')
    expect(await step(id)).toBeNull()
    expect(await read(id)).toMatchObject({ done: 2, left: 1, stoppedBy: 'b' })
    expect(await idsOf('JobWork')).toHaveLength(1)
  })

  it('passes over work that has ended its workers, work of unknown jobs and held keys', async () => {
    const letters = [await fail(1, { uniqueKey: 'a' }), await fail(2), await fail(3), await fail(4)]
    await runtime.rows(`update "JobDeadLetter" set "losses" = 2 where "id" = $1`, [letters[1]])
    await runtime.rows(`update "JobDeadLetter" set "name" = 'stranger' where "id" = $1`, [
      letters[2],
    ])
    await enqueue(9, { uniqueKey: 'a' })
    const id = await ask({ ...by, kind: 'redrive', which: 'all', jobs: [parcel] }, 10)
    expect(await finish(id)).toMatchObject({
      matched: 4,
      done: 1,
      left: 0,
      passed: { alreadyQueued: 1, endedWorkers: 1, unknown: 1 },
    })
    expect(await idsOf('JobDeadLetter')).toHaveLength(3)
  })

  it('cancels the runs under way that match', async () => {
    for (const tenant of [42, 42, 7]) await enqueue(tenant)
    await opened.take('parcel')
    const id = await ask({ ...by, kind: 'cancel', which: { label: 'nobody' } })
    expect(await finish(id)).toMatchObject({ matched: 0 })
    const all = await ask({ ...by, kind: 'cancel', which: { name: 'parcel' } })
    expect(await finish(all)).toMatchObject({ matched: 3, done: 3, passed: {} })
    expect(await runtime.rows('select "requestedBy" as "by", "reason" from "JobCancel"')).toEqual(
      Array.from({ length: 3 }, () => ({ by: by.actor, reason: by.reason })),
    )
  })
})

/** What the model knows of a piece. */
interface Piece {
  tenant: number
  place: 'waiting' | 'running' | 'dead' | 'gone'
}

const command = fc.oneof(
  fc.record({
    do: fc.constant('enqueue' as const),
    tenant: fc.integer({ min: 1, max: 2 }),
    key: fc.option(fc.constantFrom('a', 'b')),
    isLater: fc.boolean(),
  }),
  fc.record({
    do: fc.constantFrom('claim', 'fail', 'redeliver', 'complete'),
    many: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    do: fc.constant('act' as const),
    kind: fc.constantFrom('cancelWork', 'postponeWork', 'prioritiseWork', 'redrive', 'discard'),
    tenant: fc.option(fc.integer({ min: 1, max: 2 })),
    partSize: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    do: fc.constant('step' as const),
    act: fc.nat(3),
    how: fc.constantFrom('alone', 'alone', 'killed', 'unanswered', 'byTwo', 'locked'),
  }),
  fc.record({ do: fc.constantFrom('stop', 'cancelOne'), at: fc.nat(3) }),
)
type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never

/** A process that ends before its step is committed, or that never hears that it is. */
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

describe('acts on many, in any order of claims, ends, enqueues, locks, stops and kills', () => {
  it('do each piece that matched once, or pass over it and say why, and touch no other', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 40 }), async (commands) => {
        await runtime.clear('JobAction', 'JobBulk', 'JobBulkPart')
        expect(await playAll(commands)).toBe('as the model says')
      }),
      { numRuns: 40 },
    )
  }, 300_000)
})

interface Act {
  id: string
  kind: BulkRequest['kind']
  /** What it is to do, in its order, and with the parts that are left. */
  matched: readonly string[]
  parts: string[][]
  done: string[]
  passed: Record<string, number>
  isStopped: boolean
  startAfter: Date
  priority: number
}

async function playAll(commands: readonly Command[]): Promise<string> {
  const pieces = new Map<string, Piece>()
  const acts: Act[] = []
  const taken = [] as Awaited<ReturnType<typeof opened.take>>
  /** What acts have changed last, by piece. */
  const due = new Map<string, Date>()
  const priorities = new Map<string, number>()

  /** What the tables say, of whatever acts can meet. */
  const look = async () => {
    const work = await runtime.rows<{
      id: string
      tenant: string
      due: Date
      rank: number
      isDue: boolean
    }>(
      `select "id"::text as "id", "facts" #>> '{shown,tenant}' as "tenant", "dueAt" as "due", "rank",
         "place" is not null as "isDue" from "JobWork"
       order by "place" is null, "rank", "place", "dueAt", "id"`,
    )
    const letters = await runtime.rows<{ id: string; tenant: string; key: string | null }>(
      `select "id"::text as "id", "facts" #>> '{shown,tenant}' as "tenant", "uniqueKey" as "key" from "JobDeadLetter"
       order by "failedAt", "id"`,
    )
    const held = await runtime.rows<{ key: string; id: string }>(
      `select "key", "workId"::text as "id" from "JobUnique"`,
    )
    return { work, letters, held: new Map(held.map(({ key, id }) => [key, id])) }
  }

  /** What a step has to do with these, as the tables are before it. */
  async function foresee(act: Act, ids: readonly string[], locked: ReadonlySet<string>) {
    const { work, letters, held } = await look()
    const done: string[] = []
    const passed: Record<string, number> = {}
    const pass = (reason: string) => (passed[reason] = (passed[reason] ?? 0) + 1)
    for (const id of ids) {
      if (act.kind === 'redrive' || act.kind === 'discard') {
        const found = letters.find((one) => one.id === id)
        const holder = found?.key === null ? undefined : held.get(found?.key ?? '')
        if (found === undefined) pass('gone')
        else if (locked.has(id)) pass('locked')
        else if (act.kind === 'redrive' && holder !== undefined && holder !== id)
          pass('alreadyQueued')
        else {
          if (act.kind === 'redrive' && found.key !== null) held.set(found.key, id)
          done.push(id)
        }
        continue
      }
      const found = work.find((one) => one.id === id)
      const isSo =
        act.kind === 'postponeWork'
          ? found !== undefined && !found.isDue && found.due >= act.startAfter
          : act.kind === 'prioritiseWork' && found?.rank === -act.priority
      if (found === undefined) pass('gone')
      else if (locked.has(id)) pass('locked')
      else if (isSo) pass('unchanged')
      else done.push(id)
    }
    return { done, passed }
  }

  /** Moves the model on by a step. */
  function note(act: Act, { done, passed }: Awaited<ReturnType<typeof foresee>>): void {
    act.parts.shift()
    act.done.push(...done)
    for (const [reason, count] of Object.entries(passed))
      act.passed[reason] = (act.passed[reason] ?? 0) + count
    for (const id of done) {
      const piece = pieces.get(id) as Piece
      if (act.kind === 'cancelWork' || act.kind === 'discard') piece.place = 'gone'
      if (act.kind === 'redrive') piece.place = 'waiting'
      if (act.kind === 'postponeWork') due.set(id, act.startAfter)
      if (act.kind === 'prioritiseWork') priorities.set(id, act.priority)
    }
  }

  async function makeStep(act: Act, how: string): Promise<void> {
    const [part] = act.parts
    if (act.isStopped || part === undefined) return expect(await step(act.id)).toBeNull()
    switch (how) {
      case 'killed':
        return await expect(step(act.id, gone('killed'))).rejects.toThrow('killed')
      case 'unanswered': {
        const foreseen = await foresee(act, part, new Set())
        await expect(step(act.id, gone('unanswered'))).rejects.toThrow('unanswered')
        return note(act, foreseen)
      }
      case 'locked': {
        const locked = part.slice(0, 1)
        await runtime.database.transaction(async (tx) => {
          for (const table of ['JobWork', 'JobDeadLetter'])
            await tx.query(`select from "${table}" where "id" = any($1) for update`, [locked])
          const foreseen = await foresee(act, part, new Set(locked))
          await step(act.id)
          note(act, foreseen)
        })
        return
      }
      case 'byTwo': {
        const steps = await Promise.all([1, 2].map(() => step(act.id)))
        for (const made of steps) {
          if (made === null) continue
          // Two may come one after the other; the second then sees what the first has left, which is what the model checks below.
          const [next = []] = act.parts
          const [row] = await runtime.rows<{ done: string[] }>(
            `select "done"::text[] as "done" from "JobBulkPart" where "bulkId" = $1 and "part" = $2`,
            [act.id, act.matched.length === 0 ? 0 : countParts(act)],
          )
          const done = row?.done ?? []
          note(act, { done, passed: { anyhow: next.length - done.length } })
        }
        return
      }
      default: {
        const foreseen = await foresee(act, part, new Set())
        await step(act.id)
        note(act, foreseen)
      }
    }
  }

  const made = new Map<string, number>()
  /** Which part is next. */
  const countParts = (act: Act) => (made.get(act.id) ?? 0) - act.parts.length

  async function play(one: Command): Promise<void> {
    switch (one.do) {
      case 'enqueue': {
        const id = await enqueue(one.tenant, {
          ...(one.key !== null && { uniqueKey: one.key }),
          ...(one.isLater && { startAfter: new Date(Date.now() + 3_600_000) }),
        })
        // Work with its key may have been there.
        if (!pieces.has(id)) pieces.set(id, { tenant: one.tenant, place: 'waiting' })
        return
      }
      case 'claim': {
        const claimed = await opened.take('parcel', one.many)
        for (const { workId } of claimed) (pieces.get(workId) as Piece).place = 'running'
        taken.push(...claimed)
        return
      }
      case 'fail':
      case 'redeliver':
      case 'complete': {
        const ending = taken.splice(0, one.many)
        if (one.do === 'complete') await opened.complete(ending)
        else await opened.fail(ending, broken, one.do === 'fail' ? 'giveUp' : 'redeliver')
        const place = { fail: 'dead', redeliver: 'waiting', complete: 'gone' } as const
        for (const { workId } of ending) (pieces.get(workId) as Piece).place = place[one.do]
        return
      }
      case 'act': {
        const { kind, tenant, partSize } = one
        // Each has a value of its own, so that the tables tell which was last.
        const startAfter = new Date(Date.UTC(2100, 0, 1 + acts.length))
        const priority = acts.length + 1
        const which =
          tenant === null ? 'all' : { shown: { field: 'tenant', value: String(tenant) } }
        const { work, letters } = await look()
        const among = kind === 'redrive' || kind === 'discard' ? letters : work
        const matched = among
          .filter((piece) => tenant === null || piece.tenant === String(tenant))
          .map(({ id }) => id)
        const request = { ...by, kind, which, startAfter, priority } as BulkRequest
        const id = await ask(request, partSize)
        const parts = Array.from({ length: Math.ceil(matched.length / partSize) }, (_, at) =>
          matched.slice(at * partSize, (at + 1) * partSize),
        )
        made.set(id, parts.length)
        acts.push({
          id,
          kind,
          matched,
          parts,
          done: [],
          passed: {},
          isStopped: false,
          startAfter,
          priority,
        })
        return
      }
      case 'step': {
        const act = acts.at(-1 - (one.act % Math.max(acts.length, 1)))
        if (act !== undefined) await makeStep(act, one.how)
        return
      }
      case 'stop': {
        const act = acts.at(-1 - (one.at % Math.max(acts.length, 1)))
        if (act === undefined) return
        const isOpen = !act.isStopped && act.parts.length > 0
        expect(await opened.client.stopBulk(act.id, by)).toBe(isOpen ? 'stopped' : 'ended')
        act.isStopped ||= isOpen
        return
      }
      case 'cancelOne': {
        const [id] =
          [...pieces].filter(([, { place }]) => place === 'waiting').at(-1 - one.at) ?? []
        if (id === undefined) return
        expect(await opened.client.cancelWork({ job: parcel, ids: [id] }, by)).toMatchObject({
          done: 1,
        })
        ;(pieces.get(id) as Piece).place = 'gone'
        return
      }
      default:
        return one satisfies never
    }
  }

  async function compare(): Promise<void> {
    const { work, letters } = await look()
    const inPlace = (place: Piece['place']) =>
      [...pieces].flatMap(([id, piece]) => (piece.place === place ? [id] : [])).toSorted()
    expect(work.map(({ id }) => id).toSorted()).toEqual(inPlace('waiting'))
    expect(letters.map(({ id }) => id).toSorted()).toEqual(inPlace('dead'))
    for (const act of acts) {
      const row = await read(act.id)
      const left = act.parts.flat().length
      const passed = Object.values(act.passed).reduce((sum, count) => sum + count, 0)
      expect(row).toMatchObject({ matched: act.matched.length, done: act.done.length, left })
      expect(act.done.length + passed + left).toBe(act.matched.length)
      expect(new Set(act.done).size).toBe(act.done.length)
      expect(act.done.filter((id) => !act.matched.includes(id))).toEqual([])
      if (!('anyhow' in act.passed)) expect(row.passed).toEqual(act.passed)
      expect(row.endedAt !== null).toBe(act.isStopped || left === 0)
    }
    for (const { id, due: at, rank, isDue } of work) {
      // What an attempt gives back is due at once.
      if (!isDue && due.has(id)) expect(at).toEqual(due.get(id))
      if (priorities.has(id)) expect(-rank).toBe(priorities.get(id))
    }
  }

  for (const one of commands) await play(one)
  await compare()
  for (const act of acts)
    while (!act.isStopped && act.parts.length > 0) await makeStep(act, 'alone')
  await compare()
  return 'as the model says'
}
