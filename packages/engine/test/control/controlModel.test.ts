// Not quick: plays sequences of thirty steps.
import { deepStrictEqual } from 'node:assert'
import { openForTests } from '@roundsman/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { getJobRun, listDeadLetters } from '../../src/client.ts'
import { defineJob, JobError, type PayloadOf, type RunContext } from '../../src/index.ts'
import { openTestJobs, type TestRun } from '../../src/testing.ts'
import type { PlainTransaction } from '../fixtures/plainClient.ts'
import { usePlainClient } from '../usePlainClient.ts'

/*
 * Draws what people and programs may do to work with a guard, in any order, and holds the engine against a model: which run
 * may remove how much, with which payload, and what is on record of whom. On a real PostgreSQL, with a clock that is moved.
 */

/** Removes rows that are older than its payload says, a few in a batch. More than the guard allows have to be approved. */
const purge = defineJob({
  name: 'purge',
  payload: z.strictObject({ olderThanDays: z.int() }),
  isDestructive: true,
  dryRun: true,
  guard: { maxRows: 4 },
  retry: { limit: 2, delayMs: 1_000, maxDelayMs: 1_000 },
})
const jobs = [purge] as const
type Payload = PayloadOf<typeof purge>

const MAX_ROWS = 4
const BATCH_ROWS = 3
const ATTEMPTS = 3
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const KEY = 'k'
const CODES = {
  fail: 'handler_failed',
  replace: 'handler_failed',
  replaceForGood: 'drawn',
  giveUp: 'drawn',
  cancel: 'cancelled',
} as const

/** How a run goes on after so many batches. */
interface Behaviour {
  batches: number
  /** `replace`: newer work takes its unique key, and the run fails, maybe for good. */
  how: 'end' | 'fail' | 'giveUp' | 'cancel' | 'replace' | 'replaceForGood'
}

type Step =
  | { kind: 'insert'; rows: number; days: number }
  | { kind: 'enqueue'; payload: Payload; hasKey: boolean; replaces: boolean; delayMs: number }
  | { kind: 'request'; payload: Payload }
  | { kind: 'drain'; behaviours: Behaviour[] }
  | { kind: 'advance'; ms: number }
  | {
      kind: 'approve' | 'runAgain' | 'discard' | 'cancel' | 'postpone' | 'prioritise'
      which: number
    }
  | { kind: 'redrive'; which: number | null }
  | { kind: 'pause' | 'resume' }

const payload = fc.constantFrom({ olderThanDays: 0 }, { olderThanDays: 10 })
const which = fc.nat({ max: 5 })
const behaviour: fc.Arbitrary<Behaviour> = fc.record({
  batches: fc.nat({ max: 3 }),
  how: fc.constantFrom('end', 'fail', 'fail', 'giveUp', 'cancel', 'replace', 'replaceForGood'),
})
/** Steps of some kinds, as often as the weight says. */
const often = <Kind extends Step['kind'], More extends object>(
  weight: number,
  kinds: readonly Kind[],
  more: { [Key in keyof More]: fc.Arbitrary<More[Key]> },
) => ({
  weight,
  arbitrary: fc.record({ kind: fc.constantFrom(...kinds), ...more }) as fc.Arbitrary<Step>,
})
const step: fc.Arbitrary<Step> = fc.oneof(
  often(3, ['insert'], { rows: fc.integer({ min: 1, max: 9 }), days: fc.constantFrom(5, 20) }),
  often(3, ['enqueue'], {
    payload,
    hasKey: fc.boolean(),
    replaces: fc.boolean(),
    delayMs: fc.constantFrom(0, 0, HOUR_MS),
  }),
  often(1, ['request'], { payload }),
  often(5, ['drain'], { behaviours: fc.array(behaviour, { maxLength: 4 }) }),
  often(3, ['advance'], {
    ms: fc.constantFrom(1_000, 1_000, HOUR_MS, 13 * HOUR_MS, 25 * HOUR_MS),
  }),
  often(2, ['approve'], { which }),
  often(4, ['runAgain', 'discard', 'cancel', 'postpone', 'prioritise'], { which }),
  often(2, ['redrive'], { which: fc.option(which) }),
  often(1, ['pause', 'resume', 'resume'], {}),
)

interface Scene {
  its: Payload
  hasKey: boolean
  /** How a run of its goes on. */
  drawn: Behaviour
  ms: number
  at: number
  /** Comes in between. */
  other: Step
}

const drained = (...behaviours: Behaviour[]): Step => ({ kind: 'drain', behaviours })
const put = ({ its, hasKey }: Pick<Scene, 'its' | 'hasKey'>, replaces = false): Step => ({
  kind: 'enqueue',
  payload: its,
  hasKey,
  replaces,
  delayMs: 0,
})
const insert = (rows: number): Step => ({ kind: 'insert', rows, days: 20 })
const approved = (at: number): Step => ({ kind: 'approve', which: at })
const advanced = (ms: number): Step => ({ kind: 'advance', ms })
const redriveAll: Step = { kind: 'redrive', which: null }
const again = { its: { olderThanDays: 10 }, hasKey: true }

/** Some steps in a row that lead to where it is interesting, and that by chance seldom come together. */
const SCENES: readonly ((scene: Scene) => Step[])[] = [
  // Approved work fails, and is requested or redriven: the approval is used up, or was for that work alone.
  ({ drawn, ms, at, other, ...work }) => [
    ...[insert(7), put(work), drained(), approved(at), other],
    ...[drained(drawn), insert(3), put({ ...again, hasKey: work.hasKey }, true)],
    ...[approved(at), { kind: 'runAgain', which: at } as const],
    ...[redriveAll, advanced(ms), drained(drawn)],
  ],
  // The approval ends before its work begins.
  ({ drawn, at, other, ...work }) => [
    ...[insert(7), put(work), drained(), approved(at), other],
    ...[advanced(25 * HOUR_MS), drained(drawn)],
  ],
  // Newer work takes the key of what waits for its next attempt, and then somebody wants the earlier one back.
  ({ its, drawn, at, other }) => [
    ...[insert(3), put({ its, hasKey: true }), drained({ batches: 0, how: 'fail' }), other],
    ...[put(again, true), { kind: 'runAgain', which: at } as const, drained(drawn)],
  ],
  // Newer work takes the key of what runs, which then fails.
  ({ its, drawn: { batches }, ms, other }) => [
    ...[insert(3), put({ its, hasKey: true }), drained({ batches, how: 'replaceForGood' }), other],
    ...[redriveAll, advanced(ms), drained()],
  ],
  // What was blocked is discarded, or redriven and replaced, and then somebody approves it.
  ({ drawn, at, other, its }) => [
    ...[insert(7), put({ its, hasKey: true }), drained(), other],
    { kind: at % 2 === 0 ? 'discard' : 'redrive', which: 0 },
    ...[put(again, true), approved(at), drained(drawn)],
  ],
]
const scene = fc
  .record<Scene>({
    its: payload,
    hasKey: fc.boolean(),
    drawn: behaviour,
    ms: fc.constantFrom(1_000, 25 * HOUR_MS),
    at: which,
    other: step,
  })
  .chain((drawn) => fc.constantFrom(...SCENES.map((make) => make(drawn))))
const sequence = fc
  .array(fc.oneof({ weight: 4, arbitrary: fc.tuple(step) }, { weight: 1, arbitrary: scene }), {
    minLength: 4,
    maxLength: 20,
  })
  .map((parts) => parts.flat())

/** A piece of work, as the model has it. `gone`: it has ended, and is no dead letter. */
interface Work {
  id: string
  payload: Payload
  state: 'waiting' | 'running' | 'dead' | 'gone'
  /** Until when its payload is kept once it has ended, for an approval of its run. */
  keptUntil: number
  trigger: 'queue' | 'manual'
  hasKey: boolean
  isReplaced: boolean
  /** How many attempts there were, how many of them at work that this has replaced, and after how many it is given up. */
  attempts: number
  attemptsBefore: number
  lastAttempt: number
  dueAt: number
  approval: { left: number; until: number } | null
}

/** What a run is to come to. */
interface Seen {
  work: Work
  due: number
  allowed: number
  removed: number
  code: string | null
}

interface Run {
  id: string
  work: Work
  attempt: number
  payload: Payload
  /** How much was due, when its guard blocked it. */
  blockedDue: number | null
  endedAt: number
  isApproved: boolean
}

const { database, client } = usePlainClient()
let current: Model | null = null
const test = openForTests(() =>
  openTestJobs({
    databaseUrl: database.url,
    client,
    jobs,
    handlers: { purge: async (context) => await current?.handle(context) },
  }),
)

/** Plays these steps, then everything that is left, and compares the engine with the model after each. */
async function play(steps: readonly Step[]): Promise<void> {
  await test.reset()
  await client.$executeRawUnsafe('truncate "Item"')
  current = createModel()
  for (const each of steps) await current.take(each)
  await current.finish()
}

it('whatever people and programs do to work, in any order, the engine does as a model', async () => {
  await client.$executeRawUnsafe(
    'create table if not exists "Item" ("id" serial primary key, "days" int not null)',
  )
  const runs = fc.assert(fc.asyncProperty(sequence, play), { numRuns: 60 })
  await expect(runs).resolves.toBeUndefined()
}, 300_000)

const idsOf = (works: readonly { id: string }[]) =>
  works.map(({ id }) => id).toSorted((a, b) => a.localeCompare(b))

interface Model {
  handle(context: RunContext<Payload, PlainTransaction>): Promise<void>
  take(step: Step): Promise<void>
  finish(): Promise<void>
}

function createModel(): Model {
  const works = new Map<string, Work>()
  const runs: Run[] = []
  const actions: object[] = []
  const items: number[] = []
  let behaviours: Behaviour[] = []
  let isPaused = false
  let asked = 0
  const seenOf = new Map<string, Seen>()

  const now = () => test.now().getTime()
  const by = () => ({ actor: `person ${++asked}`, reason: `reason ${asked}` })
  type Wish = ReturnType<typeof by>
  const note = (action: string, wish: Wish, runId: string | null, workId: string | null) =>
    void actions.push({ action, runId, workId, ...wish })
  const dueOf = ({ olderThanDays }: Payload) => items.filter((days) => days > olderThanDays).length
  const waiting = () => [...works.values()].filter(({ state }) => state === 'waiting')
  const holder = () =>
    [...works.values()].find(
      ({ state, hasKey }) => hasKey && (state === 'waiting' || state === 'running'),
    )
  const pick = <Value>(values: readonly Value[], at: number) =>
    values[at % Math.max(1, values.length)]
  const payloadOf = ({ work, attempt, payload: its, blockedDue }: Run) => {
    // Of work that has ended, the blocked run alone keeps it.
    const isKept = blockedDue !== null && work.keptUntil > now()
    const isThere = work.state === 'gone' ? isKept : !work.isReplaced
    return isThere && attempt > work.attemptsBefore ? its : null
  }

  function add(id: string, more: Partial<Work> & Pick<Work, 'payload' | 'trigger'>): void {
    works.set(id, {
      id,
      state: 'waiting',
      keptUntil: 0,
      hasKey: false,
      isReplaced: false,
      attempts: 0,
      attemptsBefore: 0,
      lastAttempt: ATTEMPTS,
      dueAt: now(),
      approval: null,
      ...more,
    })
  }

  async function enqueue(
    its: Payload,
    hasKey: boolean,
    replaces: boolean,
    delayMs: number,
  ): Promise<void> {
    const held = hasKey ? holder() : undefined
    const { kind, workId } = await test.enqueueNow(purge, its, {
      ...(hasKey && { uniqueKey: KEY, ...(replaces && { onConflict: 'replace' as const }) }),
      ...(delayMs > 0 && { startAfter: new Date(now() + delayMs) }),
    })
    if (held === undefined) {
      deepStrictEqual(kind, 'enqueued')
      return add(workId, { payload: its, trigger: 'queue', hasKey, dueAt: now() + delayMs })
    }
    if (!replaces)
      return deepStrictEqual({ kind, workId }, { kind: 'alreadyQueued', workId: held.id })
    if (held.state === 'running') {
      deepStrictEqual(kind, 'enqueued')
      Object.assign(held, { hasKey: false, isReplaced: true })
      return add(workId, { payload: its, trigger: 'queue', hasKey, dueAt: now() + delayMs })
    }
    deepStrictEqual({ kind, workId }, { kind: 'replaced', workId: held.id })
    const { attempts } = held
    Object.assign(held, {
      payload: its,
      trigger: 'queue',
      attemptsBefore: attempts,
      lastAttempt: attempts + ATTEMPTS,
      dueAt: now() + delayMs,
      approval: null,
    })
  }

  /** Carries a run out as drawn, and has the model follow. The runs of a drain come one after the other. */
  async function handle(context: RunContext<Payload, PlainTransaction>): Promise<void> {
    const { payload: its, run } = context
    // The run of a first attempt has the id of its work, and may not be written yet.
    const work =
      works.get(run.id) ?? works.get((await getJobRun(test.reader, run.id))?.workId ?? '')
    if (work?.state !== 'waiting' || work.dueAt > now() || isPaused)
      throw new Error(`A run of work that nobody expects: ${run.id}`)
    const { approval } = work
    const isApproved = approval !== null && now() <= approval.until
    const due = dueOf(its)
    const allowed = isApproved ? Math.max(MAX_ROWS, approval.left) : MAX_ROWS
    const seen: Seen = { work, due, allowed, removed: 0, code: null }
    seenOf.set(run.id, seen)
    work.state = 'running'
    work.attempts++
    try {
      await carryOut(context, seen)
    } finally {
      if (approval !== null) approval.left = Math.max(0, approval.left - seen.removed)
      const isForApproval =
        work.trigger === 'manual' && seen.code === 'guard_blocked' && !work.isReplaced
      if (isForApproval) work.keptUntil = now() + DAY_MS
      if (seen.code === null || work.isReplaced || isForApproval) work.state = 'gone'
      else if (work.trigger === 'manual' && seen.code === 'cancelled') work.state = 'gone'
      else if (seen.code === 'handler_failed' && work.attempts < work.lastAttempt)
        work.state = 'waiting'
      else work.state = 'dead'
    }
  }

  async function carryOut(
    { payload: its, run, guard, batch }: RunContext<Payload, PlainTransaction>,
    seen: Seen,
  ): Promise<void> {
    const plan = behaviours.shift()
    const count = async (tx: PlainTransaction) =>
      (await tx.$queryRawUnsafe('select from "Item" where "days" > $1', its.olderThanDays)).length
    if (seen.due > seen.allowed) seen.code = 'guard_blocked'
    await guard({ total: count, due: count })
    for (let batches = 0; ; batches++) {
      if (batches === plan?.batches) await interrupt(plan.how, run.id, seen)
      const removed = await removeSome(its, batch)
      seen.removed += removed
      if (removed < BATCH_ROWS) return
    }
  }

  async function interrupt(how: Behaviour['how'], runId: string, seen: Seen): Promise<void> {
    if (how === 'end') return
    seen.code = CODES[how]
    const isReplaced = how === 'replace' || how === 'replaceForGood'
    if (isReplaced && seen.work.hasKey) await enqueue({ olderThanDays: 10 }, true, true, 0)
    if (how === 'giveUp' || how === 'replaceForGood')
      throw new JobError('drawn', 'for good', { retryable: false })
    if (how === 'cancel') {
      const wish = by()
      await test.cancelRun(runId, wish)
      note('cancel', wish, runId, null)
      return
    }
    if (how === 'replace' && seen.work.hasKey) await enqueue({ olderThanDays: 10 }, true, true, 0)
    throw new Error('drawn')
  }

  async function removeSome(
    { olderThanDays }: Payload,
    batch: RunContext<Payload, PlainTransaction>['batch'],
  ): Promise<number> {
    let days: number[] = []
    await batch(async (tx) => {
      const rows = await tx.$queryRawUnsafe<{ days: number }[]>(
        'delete from "Item" where "id" in (select "id" from "Item" where "days" > $1 order by "id" limit $2) returning "days"',
        olderThanDays,
        BATCH_ROWS,
      )
      days = rows.map((row) => row.days)
      return { removed: days.length }
    })
    for (const each of days) items.splice(items.indexOf(each), 1)
    return days.length
  }

  async function drain(drawn: Behaviour[]): Promise<void> {
    behaviours = [...drawn]
    for (const run of await test.drain()) compare(run)
    await learnDueTimes()
    if (!isPaused)
      deepStrictEqual(
        waiting().filter(({ dueAt }) => dueAt <= now()),
        [],
      )
  }

  /** Compares a run that has ended with what the model expects of it. */
  function compare({ id, attempt, payload: its, details, error, endedAt }: TestRun): void {
    const code = error?.code ?? null
    const seen = seenOf.get(id)
    if (seen === undefined) throw new Error(`A run whose handler was not called: ${id}`)
    const { work, due, allowed, removed } = seen
    deepStrictEqual(
      { code, removed: details?.['removed'] ?? 0, guard: details?.['guard'] },
      { code: seen.code, removed, guard: { due, allowed } },
    )
    if (removed > allowed) throw new Error(`${removed} rows were removed, and ${allowed} allowed`)
    if (code === null) deepStrictEqual(removed, due)
    runs.push({
      id,
      work,
      attempt,
      payload: its as Payload,
      blockedDue: code === 'guard_blocked' ? due : null,
      endedAt: endedAt.getTime(),
      isApproved: false,
    })
  }

  /** The pauses before retries are not what is tried here: learns them, and checks what else is told of waiting work. */
  async function learnDueTimes(): Promise<void> {
    const told = await test.enqueued(purge)
    deepStrictEqual(idsOf(told.map(({ workId: id }) => ({ id }))), idsOf(waiting()))
    for (const { workId, startAfter, payload: its, attempt } of told) {
      const work = works.get(workId)
      if (work === undefined) continue
      deepStrictEqual(
        { payload: its, attempt },
        { payload: work.payload, attempt: work.attempts + 1 },
      )
      work.dueAt = startAfter.getTime()
    }
  }

  async function approve(run: Run | undefined): Promise<void> {
    if (run === undefined) return
    const wish = by()
    const outcome = await test.approveRun(run.id, wish)
    const kept = payloadOf(run)
    if (run.blockedDue === null) return deepStrictEqual(outcome, { kind: 'notBlocked' })
    if (runs.some(({ work, isApproved }) => isApproved && work === run.work))
      return deepStrictEqual(outcome, { kind: 'alreadyApproved' })
    if (now() - run.endedAt > DAY_MS) return deepStrictEqual(outcome, { kind: 'tooLate' })
    if (kept === null) return deepStrictEqual(outcome, { kind: 'payloadGone' })
    const hasKey = run.work.hasKey && run.work.state !== 'gone'
    const held = hasKey ? holder() : undefined
    if (held !== undefined && held !== run.work)
      return deepStrictEqual(outcome, { kind: 'alreadyQueued', workId: held.id })
    if (outcome.kind !== 'approved') throw new Error(`Not approved: ${outcome.kind}`)
    deepStrictEqual(outcome.rows, run.blockedDue)
    run.isApproved = true
    Object.assign(run.work, { state: 'gone', keptUntil: 0 })
    add(outcome.workId, {
      payload: kept,
      trigger: 'manual',
      hasKey,
      approval: { left: outcome.rows, until: now() + DAY_MS },
    })
    note('approve', wish, run.id, outcome.workId)
  }

  async function runAgain(run: Run | undefined): Promise<void> {
    if (run === undefined) return
    const wish = by()
    const outcome = await test.runAgain(purge, run.id, wish)
    const kept = payloadOf(run)
    if (kept === null) return deepStrictEqual(outcome, { kind: 'payloadGone' })
    if (outcome.kind !== 'requested') throw new Error(`Not requested: ${outcome.kind}`)
    add(outcome.workId, { payload: kept, trigger: 'manual' })
    note('run', wish, run.id, outcome.workId)
  }

  async function redrive(at: number | null): Promise<void> {
    const dead = [...works.values()].filter(({ state }) => state === 'dead')
    const wanted = at === null ? dead : [pick(dead, at)].filter((work) => work !== undefined)
    const wish = by()
    const ids = wanted.map(({ id }) => id)
    const { redriven } = await test.redriveDeadLetters(at === null ? 'all' : { ids }, wish)
    const { deadLetters } = await listDeadLetters(test.reader, { limit: 100 })
    const stayed = new Set(deadLetters.map(({ workId }) => workId))
    const back = wanted.filter(({ id }) => !stayed.has(id))
    deepStrictEqual(back.length, redriven)
    for (const work of back) {
      if (work.hasKey && holder() !== undefined) throw new Error('Two pieces of work hold one key')
      Object.assign(work, {
        state: 'waiting',
        lastAttempt: work.attempts + ATTEMPTS,
        dueAt: now(),
        approval: null,
      })
      note('redrive', wish, null, work.id)
    }
    for (const { hasKey, id } of wanted)
      if (stayed.has(id) && !(hasKey && holder() !== undefined))
        throw new Error(`Not redriven: ${id}`)
  }

  /** Changes one waiting piece of work. */
  async function change(kind: 'cancel' | 'postpone' | 'prioritise', at: number): Promise<void> {
    const work = pick(waiting(), at)
    if (work === undefined) return
    const wish = by()
    const one = { job: purge, ids: [work.id] }
    const startAfter = new Date(now() + 30 * HOUR_MS)
    const doIt = {
      cancel: () => test.cancelWork(one, wish),
      postpone: () => test.postponeWork(one, { ...wish, startAfter }),
      prioritise: () => test.prioritiseWork(one, { ...wish, priority: asked }),
    }
    // What is due later already stays so.
    const isChanged = kind !== 'postpone' || work.dueAt < startAfter.getTime()
    deepStrictEqual(await doIt[kind](), { done: isChanged ? 1 : 0, left: 0 })
    if (!isChanged) return
    if (kind === 'cancel') work.state = 'gone'
    if (kind === 'postpone') work.dueAt = startAfter.getTime()
    note(`${kind}Work`, wish, null, work.id)
  }

  async function take(taken: Step): Promise<void> {
    switch (taken.kind) {
      case 'insert':
        await client.$executeRawUnsafe(
          'insert into "Item" ("days") select $2 from generate_series(1, $1::int)',
          taken.rows,
          taken.days,
        )
        items.push(...Array.from({ length: taken.rows }, () => taken.days))
        return
      case 'enqueue':
        return await enqueue(
          taken.payload,
          taken.hasKey,
          taken.hasKey && taken.replaces,
          taken.delayMs,
        )
      case 'request': {
        const wish = by()
        const workId = await test.requestRun(purge, { ...wish, payload: taken.payload })
        add(workId, { payload: taken.payload, trigger: 'manual' })
        note('run', wish, null, workId)
        return
      }
      case 'drain':
        return await drain(taken.behaviours)
      case 'advance':
        return await test.advance(taken.ms)
      case 'approve':
        return await approve(
          pick(
            runs.filter(({ blockedDue }) => blockedDue !== null),
            taken.which,
          ) ?? pick(runs, taken.which),
        )
      case 'runAgain':
        return await runAgain(pick(runs, taken.which))
      case 'redrive':
        return await redrive(taken.which)
      case 'discard': {
        const work = pick([...works.values()], taken.which)
        if (work === undefined) return
        const wish = by()
        const { discarded } = await test.discardDeadLetters({ ids: [work.id] }, wish)
        deepStrictEqual(discarded, work.state === 'dead' ? 1 : 0)
        if (discarded === 0) return
        work.state = 'gone'
        note('discard', wish, null, work.id)
        return
      }
      case 'cancel':
      case 'postpone':
      case 'prioritise':
        return await change(taken.kind, taken.which)
      case 'pause':
      case 'resume': {
        const wish = by()
        const isPausing = taken.kind === 'pause'
        const outcome = await (isPausing
          ? test.pauseQueue('purge', wish)
          : test.resumeQueue('purge', wish))
        if (isPausing === isPaused) return
        const isKnown = works.size + actions.length > 0
        const paused = isKnown ? 'paused' : 'pausedUnknown'
        deepStrictEqual(outcome, isPausing ? paused : 'resumed')
        isPaused = isPausing
        note(isPausing ? 'pauseQueue' : 'resumeQueue', wish, null, null)
        return
      }
      default:
        return taken satisfies never
    }
  }

  /** Carries all out to its end, and compares what is left, and what is on record. */
  async function finish(): Promise<void> {
    if (isPaused) await take({ kind: 'resume' })
    for (let rounds = 0; rounds < 2 * ATTEMPTS; rounds++) {
      await drain([])
      await test.advance(31 * HOUR_MS)
    }
    deepStrictEqual(waiting(), [])
    deepStrictEqual((await client.$queryRawUnsafe('select from "Item"')).length, items.length)
    const { deadLetters } = await listDeadLetters(test.reader, { limit: 100 })
    const dead = [...works.values()].filter(({ state }) => state === 'dead')
    deepStrictEqual(
      deadLetters.map(({ workId }) => workId).toSorted(),
      dead.map(({ id }) => id).toSorted(),
    )
    const rows = await client.$queryRawUnsafe<Record<string, unknown>[]>(
      `select "action", "runId", "workId", "actor", "reason" from "${test.schema}"."JobAction" order by "at", "id"`,
    )
    const byActor = (one: object, other: object) =>
      JSON.stringify(one).localeCompare(JSON.stringify(other))
    deepStrictEqual(rows.map((row) => ({ ...row })).toSorted(byActor), actions.toSorted(byActor))
  }

  return { handle, take, finish }
}
