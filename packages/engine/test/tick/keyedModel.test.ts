// Not quick: draws histories of customers' schedules.
import { openForTests } from '@roundsman/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, type Job } from '../../src/index.ts'
import { nextTicks } from '../../src/internal.ts'
import { containedLog } from '../../src/store/containedLog.ts'
import { setTestTime } from '../../src/store/testSchema.ts'
import { openTestJobs } from '../../src/testing.ts'
import { createScheduler } from '../../src/tick/scheduler.ts'
import { useOwnDatabase } from '../useOwnDatabase.ts'
import { usePlainClient } from '../usePlainClient.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/** What each version of the product takes: a payload that one takes the next may refuse. */
const PAYLOADS = [z.object({ v: z.number() }), z.object({ v: z.literal(2) })]
const NAMES = ['invoice', 'digest'] as const
const jobsOf = (version: number): Job[] =>
  NAMES.map((name) => defineJob({ name, payload: PAYLOADS[version] as never }) as Job)
/** What a client takes that enqueues for all of them. */
const [anyInvoice, anyDigest] = jobsOf(0) as [Job, Job]
const jobs = [anyInvoice, anyDigest] as const

const ZONES = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'UTC']
const CRONS = [
  '*/15 * * * *',
  '30 2 * * *',
  '0 */2 * * *',
  '5,35 1-4 * * *',
  '0 9 * * MON',
  '* 2 * * *',
]
/** Shortly before the clocks are set ahead and back, in one zone or another. */
const STARTS = [
  '2026-03-28T23:10:30Z',
  '2026-10-24T23:50:30Z',
  '2026-11-01T04:20:30Z',
  '2026-10-03T14:00:30Z',
  '2026-06-01T12:00:30Z',
]

const drawOf = fc.record({ name: fc.constantFrom(...NAMES), key: fc.constantFrom('a', 'b', 'c') })
const drawDefinition = fc.record({
  cron: fc.constantFrom(...CRONS),
  timeZone: fc.constantFrom(...ZONES),
  missed: fc.constantFrom('once' as const, 'all' as const, 'skip' as const),
  overlap: fc.constantFrom('skip' as const, 'allow' as const),
  catchUpMs: fc.constantFrom(DAY_MS, 20 * MINUTE_MS),
  jitterMs: fc.constantFrom(0, 0, 29_000),
  startsInMs: fc.constantFrom(null, null, 3 * 3_600_000),
  endsInMs: fc.constantFrom(null, null, 10 * 3_600_000),
  v: fc.constantFrom(1, 2),
})
type Definition = typeof drawDefinition extends fc.Arbitrary<infer Drawn> ? Drawn : never

/** Some end within the jitter of a tick. */
const drawMinutes = fc.constantFrom<number[]>(0, 0.55, 0.65, 14.6, 29.7, 61, 180, 1_441, 2_900)
const drawStep = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('upsert' as const), of: drawOf, to: drawDefinition }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('change' as const),
      of: drawOf,
      part: drawDefinition.map(({ v, missed, overlap }) => ({ v, missed, overlap })),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('delete' as const, 'pause' as const, 'resume' as const),
      of: drawOf,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), minutes: drawMinutes }) },
  {
    weight: 12,
    // Of two workers one may know some of the jobs alone.
    arbitrary: fc.record({
      do: fc.constant('decide' as const),
      minutes: drawMinutes,
      known: fc.constantFrom(1, 2, 2),
      workers: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'finish' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('deploy' as const), version: fc.constantFrom(0, 1) }),
  },
)
type Step = typeof drawStep extends fc.Arbitrary<infer Drawn> ? Drawn : never

const QUIET = '2026-06-01T12:00:30Z'
const of = { name: 'invoice', key: 'a' } as const
const OFTEN: Definition = {
  ...{ cron: '*/15 * * * *', timeZone: 'UTC', missed: 'all', overlap: 'allow' },
  ...{ catchUpMs: DAY_MS, jitterMs: 0, startsInMs: null, endsInMs: null, v: 1 },
}
const pass = (minutes: number) => ({ do: 'pass' as const, minutes })
const decided = (minutes: number) => ({
  do: 'decide' as const,
  minutes,
  known: 2 as const,
  workers: 1,
})
/** Three ticks are refused, a fourth finds the schedule paused, and the roll-back resumes it. */
const REFUSED: Step[] = [
  { do: 'upsert', of, to: OFTEN },
  { do: 'deploy', version: 1 },
  ...[decided(15), decided(15), decided(15), decided(15)],
  { do: 'deploy', version: 0 },
  decided(15),
]
/** One tick is due, and of the next the instant has just come. */
const SPREAD: Step[] = [
  { do: 'upsert', of, to: { ...OFTEN, jitterMs: 29_000 } },
  ...[pass(29.4), decided(0.15), decided(0.5)],
]

const { database, client } = usePlainClient()
const test = openForTests(() =>
  openTestJobs({
    databaseUrl: database.url,
    client,
    jobs: jobs as never,
    handlers: { invoice: async () => undefined, digest: async () => undefined },
  }),
)
const own = useOwnDatabase(database, test)
const rows = async <Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> =>
  (await own.query<Row & { [column: string]: unknown }>(text, values)).rows

it('each due instant of each version has its one row of the ledger, as a model has it', async () => {
  expect.hasAssertions()
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...STARTS),
      fc.array(drawStep, { minLength: 5, maxLength: 40 }),
      async (start, steps) => {
        await test.reset()
        const history = openHistory(new Date(start))
        for (const step of steps) await history.take(step)
        await history.take({ do: 'decide', minutes: 0, known: 2 as const, workers: 1 })
        await history.check()
      },
    ),
    {
      numRuns: 40,
      examples: [
        [QUIET, REFUSED],
        [QUIET, SPREAD],
      ],
    },
  )
}, 300_000)

/** A schedule as the model has it. */
interface Entry {
  name: string
  to: Definition
  startsAt: Date | null
  endsAt: Date | null
  version: number
  delayMs: number
  cursor: Date
  isPaused: boolean
  refusals: number
  isOpen: boolean
}

function openHistory(start: Date) {
  let now = start
  let version = 0
  const entries = new Map<string, Entry>()
  /** The highest version of what was deleted. */
  let gone = 0
  /** By schedule and instant: outcome and version. */
  const ledger = new Map<string, string>()
  const work = new Set<string>()
  let finished = 0

  /** What becomes of what is due at `end`. A program that changes a schedule refuses no payload. */
  function decide(id: string, end: Date, isWorker: boolean): void {
    const entry = entries.get(id) as Entry
    const { to } = entry
    const due: Date[] = []
    for (const tick of nextTicks(to, entry.cursor)) {
      if (tick > end || (entry.endsAt !== null && tick > entry.endsAt)) break
      if (entry.startsAt === null || tick >= entry.startsAt) due.push(tick)
    }
    const latest = due.at(-1)
    if (latest === undefined) return
    const doesFit = version !== 1 || to.v !== 1
    if (isWorker && doesFit && entry.isPaused && entry.refusals >= 3)
      Object.assign(entry, { isPaused: false, refusals: 0 })
    const tell = (tick: Date, outcome: string) => {
      const place = `${id} ${tick.toISOString()}`
      expect(ledger.has(place), `${place} twice`).toBe(false)
      ledger.set(place, `${outcome} v${entry.version}`)
    }
    const limitMs = to.missed === 'skip' ? 10_000 : to.catchUpMs
    const isHeld = to.overlap === 'skip' && entry.isOpen
    const outcomes = due.map((tick, at) => {
      if (entry.isPaused) return 'skipped'
      if (due.length > 101 && at < due.length - 100) return 'missed'
      if (end.getTime() - tick.getTime() > limitMs) return 'missed'
      if (isHeld) return 'skipped'
      return to.missed === 'all' || tick === latest ? 'enqueued' : 'coalesced'
    })
    const isRefused = isWorker && !doesFit && outcomes.includes('enqueued')
    for (const [at, tick] of due.entries()) {
      const outcome = outcomes[at] as string
      const isWanted = outcome === 'enqueued' || outcome === 'coalesced'
      tell(tick, isRefused && isWanted ? 'skipped' : outcome)
    }
    if (isRefused) {
      entry.refusals++
      if (entry.refusals === 3) entry.isPaused = true
    } else if (outcomes.includes('enqueued')) {
      entry.refusals = 0
      entry.isOpen = true
    }
    entry.cursor = latest
  }

  async function upsert(id: string, to: Definition): Promise<void> {
    const [name, key] = id.split(' ') as [string, string]
    const { startsInMs, endsInMs, v, ...definition } = to
    const before = entries.get(id)
    const startsAt = startsInMs === null ? null : new Date(start.getTime() + startsInMs)
    const endsAt = endsInMs === null ? null : new Date(start.getTime() + endsInMs)
    // A schedule that wants a run for each tick cannot refuse some.
    const overlap = to.missed === 'all' ? 'allow' : to.overlap
    const made = { ...to, overlap }
    const answer = await test.schedules.upsert(
      null,
      jobs.find((job) => job.name === name)!,
      {
        ...definition,
        ...{ key, overlap, payload: { v }, startsAt, endsAt },
      },
    )
    const [row] = await rows<{ delay: number; version: number }>(
      'select "delayMs"::int as delay, "version" from "JobSchedule" where "name" = $1 and "key" = $2',
      [name, key],
    )
    const isMoved =
      before === undefined ||
      ['cron', 'timeZone', 'startsInMs', 'endsInMs'].some(
        (part) => before.to[part as keyof Definition] !== made[part as keyof Definition],
      )
    if (before !== undefined && isMoved) decide(id, now, false)
    const isChanged = JSON.stringify(before?.to) !== JSON.stringify(made)
    const isLifted = before !== undefined && before.to.v !== v && before.refusals > 0
    const entry: Entry = {
      ...{ name, to: made, startsAt, endsAt, delayMs: row!.delay },
      version: (before?.version ?? gone) + (isChanged ? 1 : 0),
      cursor: before === undefined ? now : before.cursor,
      isPaused: before?.isPaused === true && !(isLifted && before.refusals >= 3),
      refusals: isLifted ? 0 : (before?.refusals ?? 0),
      isOpen: before?.isOpen ?? false,
    }
    if (isMoved && now > entry.cursor) entry.cursor = now
    entries.set(id, entry)
    expect(answer.version, `version of ${id}`).toBe(entry.version)
    const next = firstOf(nextTicks(made, entry.cursor), startsAt)
    expect(answer.nextAt, `next of ${id}`).toEqual(
      next !== null && endsAt !== null && next > endsAt ? null : next,
    )
  }

  async function carryOut(step: Step): Promise<void> {
    switch (step.do) {
      case 'upsert':
        return await upsert(`${step.of.name} ${step.of.key}`, step.to)
      case 'change': {
        const id = `${step.of.name} ${step.of.key}`
        const entry = entries.get(id)
        return entry && (await upsert(id, { ...entry.to, ...step.part }))
      }
      case 'delete':
      case 'pause':
      case 'resume':
        return await act(step.do, step.of)
      case 'pass':
        now = new Date(now.getTime() + step.minutes * MINUTE_MS)
        return await setTestTime(own, now)
      case 'decide': {
        await carryOut({ do: 'pass', minutes: step.minutes })
        const known = jobsOf(version).slice(0, step.known)
        for (const [id, entry] of entries)
          if (known.some(({ name }) => name === entry.name))
            decide(id, new Date(now.getTime() - entry.delayMs), true)
        const workers = Array.from({ length: step.workers }, (_, at) =>
          createScheduler({
            jobs: known,
            database: own,
            workerId: `w${at}`,
            log: containedLog({}),
          }),
        )
        await Promise.all(workers.map((worker) => worker.wake()))
        return
      }
      case 'finish':
        for (const { id } of await rows<{ id: string }>('delete from "JobWork" returning "id"')) {
          expect(work.has(id), `${id} twice`).toBe(false)
          work.add(id)
          finished++
        }
        for (const entry of entries.values()) entry.isOpen = false
        return
      case 'deploy':
        version = step.version
        return
      default:
        step satisfies never
    }
  }

  async function act(
    what: 'delete' | 'pause' | 'resume',
    { name, key }: { name: string; key: string },
  ): Promise<void> {
    const id = `${name} ${key}`
    const entry = entries.get(id)
    const by = { actor: 'ada', reason: 'drawn' }
    const answer = await test.schedules[what](null, { name }, key, by)
    if (entry === undefined) return expect(answer).toBe('notFound')
    if (what === 'delete') {
      decide(id, now, false)
      entries.delete(id)
      gone = Math.max(gone, entry.version)
    } else if (what === 'pause') {
      if (!entry.isPaused || entry.refusals >= 3) entry.refusals = 0
      entry.isPaused = true
    } else if (entry.isPaused) {
      decide(id, now, false)
      entry.isPaused = false
      entry.refusals = 0
    }
  }

  async function check(): Promise<void> {
    const written = await rows<{
      name: string
      key: string
      at: Date
      through: Date | null
      count: number
      outcome: string
      version: number
    }>(
      `select "name", "key", "scheduledFor" as at, "through", "count", "outcome", "version" from "JobTick"`,
    )
    const expected = new Map(ledger)
    for (const row of written) {
      const within = [...expected.keys()].filter((place) => {
        const at = new Date(place.slice(place.lastIndexOf(' ') + 1))
        return (
          place.startsWith(`${row.name} ${row.key} `) &&
          at >= row.at &&
          at <= (row.through ?? row.at)
        )
      })
      expect(within.length, `${row.name} ${row.key} ${row.at.toISOString()}`).toBe(row.count)
      for (const place of within) {
        expect(`${row.outcome} v${row.version}`, place).toBe(expected.get(place))
        expected.delete(place)
      }
    }
    expect([...expected]).toEqual([])
    await carryOut({ do: 'finish' })
    expect(finished).toBe(written.filter(({ outcome }) => outcome === 'enqueued').length)
  }

  let isStarted = false
  return {
    check,
    async take(step: Step) {
      if (!isStarted) await setTestTime(own, now)
      isStarted = true
      await carryOut(step)
    },
  }
}

function firstOf(ticks: Iterable<Date>, from: Date | null): Date | null {
  for (const tick of ticks) if (from === null || tick >= from) return tick
  return null
}
