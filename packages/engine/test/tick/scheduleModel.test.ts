// Not quick: draws histories of schedules and fleets.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, type Job } from '../../src/index.ts'
import { containedLog } from '../../src/database/containedLog.ts'
import type { Connection, Database } from '../../src/database/database.ts'
import { createScheduler } from '../../src/tick/scheduler.ts'
import { ticksByWallClock } from '../fixtures/wallClock.ts'
import { useFleet } from '../useFleet.ts'

/*
 * All schedules of a product, kept as data and of the code, and a fleet of workers of several versions, against a model: any number
 * of workers start, stop and are killed, also amid a transaction; versions go forward and back; schedules change, pause and go; the
 * clocks of their zones are set ahead and back. Each row of the ledger agrees. Workers have no clock of their own in this: the time of
 * the database is the only one that counts.
 */

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const OFTEN = { cron: '*/15 * * * *', timeZone: 'UTC' }

/** What each version of the product defines. A payload that one takes the next may refuse, and schedules come, change and go. */
const CATALOGUES = [
  { v: z.number(), sweep: OFTEN, count: { cron: '30 2 * * *', timeZone: 'Europe/Berlin' } },
  { v: z.literal(2), sweep: { ...OFTEN, missed: 'all', overlap: 'queue' } },
  { v: z.number(), sweep: { ...OFTEN, cron: '20 * * * *' }, count: OFTEN, own: OFTEN },
  { v: z.number(), count: { cron: '0 */2 * * *', timeZone: 'America/New_York', missed: 'skip' } },
] as const
const KEYED = ['invoice', 'digest'] as const
const CODED = ['sweep', 'count', 'own'] as const

function jobsOf(version: number): Job[] {
  const { v, ...schedules } = CATALOGUES[version] as (typeof CATALOGUES)[0]
  const keyed = KEYED.map((name) => defineJob({ name, payload: z.object({ v }) as never }) as Job)
  const coded = CODED.flatMap((name) => {
    const schedule = (schedules as Record<string, typeof OFTEN | undefined>)[name]
    // The job of the code's own schedule that no version but one knows.
    if (name === 'own' && schedule === undefined) return []
    return [defineJob({ name, ...(schedule && { schedule }) }) as Job]
  })
  return [...keyed, ...coded]
}
const FLEET = CATALOGUES.map((_, version) => jobsOf(version))
const [invoice, digest] = jobsOf(0) as [Job, Job]

const ZONES = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'UTC']
const CRONS = [
  ...['*/15 * * * *', '30 2 * * *', '0 */2 * * *'],
  ...['5,35 1-4 * * *', '0 9 * * 1', '* 2 * * *'],
]
/** Shortly before the clocks are set ahead and back, in one zone or another. */
const STARTS = [
  '2026-03-28T23:10:30Z',
  '2026-10-24T23:50:30Z',
  '2026-11-01T04:20:30Z',
  '2026-10-03T14:00:30Z',
  '2026-06-01T12:00:30Z',
]

const drawOf = fc.record({ name: fc.constantFrom(...KEYED), key: fc.constantFrom('a', 'b', 'c') })
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
const drawVersion = fc.nat(CATALOGUES.length - 1)
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
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('pauseOwn' as const, 'resumeOwn' as const),
      name: fc.constantFrom(...CODED),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), minutes: drawMinutes }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('start' as const),
      catalogue: drawVersion,
      // Also a version that comes back, and workers without one.
      version: fc.constantFrom<(string | null)[]>(null, 'one', 'two', 'three'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('stop' as const, 'kill' as const),
      which: fc.nat(9),
      // After so many statements of a transaction.
      amid: fc.nat(6),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('decide' as const),
      minutes: drawMinutes,
      first: fc.nat(9),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'finish' as const }) },
)
type Step = typeof drawStep extends fc.Arbitrary<infer Drawn> ? Drawn : never

const QUIET = '2026-06-01T12:00:30Z'
const of = { name: 'invoice', key: 'a' } as const
const EVERY_QUARTER: Definition = {
  ...{ cron: '*/15 * * * *', timeZone: 'UTC', missed: 'all', overlap: 'allow' },
  ...{ catchUpMs: DAY_MS, jitterMs: 0, startsInMs: null, endsInMs: null, v: 1 },
}
const start = (version: string | null, catalogue: number): Step => ({
  do: 'start',
  version,
  catalogue,
})
const pass = (minutes: number): Step => ({ do: 'pass', minutes })
const decided = (minutes: number): Step => ({ do: 'decide', minutes, first: 0 })
/** Three ticks are refused, a fourth finds the schedule paused, and the roll-back resumes it. */
const REFUSED: Step[] = [
  start('one', 0),
  { do: 'upsert', of, to: EVERY_QUARTER },
  start('two', 1),
  { do: 'stop', which: 0, amid: 0 },
  ...[decided(15), decided(15), decided(15), decided(15)],
  start('three', 0),
  decided(15),
]
/** One tick is due, and of the next the instant has just come. */
const SPREAD: Step[] = [
  start('one', 0),
  { do: 'upsert', of, to: { ...EVERY_QUARTER, jitterMs: 29_000 } },
  ...[pass(29.4), decided(0.15), decided(0.5)],
]
const doTo = (what: 'delete' | 'pause' | 'resume'): Step => ({ do: what, of })
/** What is due, or waits for its jitter, when a schedule changes, is paused and resumed, and goes. */
const CHANGED: Step[] = [
  start('one', 0),
  { do: 'upsert', of, to: { ...EVERY_QUARTER, jitterMs: 29_000 } },
  pass(14.55),
  { do: 'upsert', of, to: { ...EVERY_QUARTER, cron: '20 * * * *' } },
  pass(15),
  { do: 'change', of, part: { v: 2, missed: 'once', overlap: 'allow' } },
  ...[decided(0), doTo('pause'), doTo('pause'), pass(61), doTo('resume'), doTo('resume')],
  ...[decided(61), pass(61), doTo('delete'), doTo('delete'), decided(61)],
]
/** The last version defines, is killed amid its work, and the one before defines again, what was due meanwhile first. */
const ROLLED_BACK: Step[] = [
  ...[start('one', 0), decided(0), start('two', 2), start('two', 2), decided(61)],
  ...[
    { do: 'kill', which: 1, amid: 3 } as const,
    pass(61),
    { do: 'kill', which: 1, amid: 0 } as const,
  ],
  ...[decided(0), decided(61), { do: 'pauseOwn', name: 'sweep' } as const, start('three', 3)],
  ...[decided(15), decided(61), start('four', 0), decided(15), decided(15)],
]

const { rows, reset, signUp, kill, own, client: test, at: setTime } = useFleet(QUIET)

it('each due instant of each version of each schedule has its one row of the ledger, as a model has it', async () => {
  expect.hasAssertions()
  let histories = 0
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...STARTS),
      fc.array(drawStep, { minLength: 8, maxLength: 50 }),
      async (from, steps) => {
        await reset()
        const history = openHistory(new Date(from), `h${histories++}`)
        for (const step of steps) await history.take(step)
        await history.take(start('last', 0))
        await history.take(decided(0))
        await history.check()
      },
    ),
    {
      numRuns: Number(process.env['HISTORIES'] ?? 40),
      examples: [
        [QUIET, REFUSED],
        [QUIET, SPREAD],
        [QUIET, ROLLED_BACK],
        [QUIET, CHANGED],
      ],
    },
  )
}, 3_600_000)

/** A schedule as the model has it. */
interface Entry {
  name: string
  key: string
  cron: string
  timeZone: string
  missed: string
  overlap: string
  catchUpMs: number
  /** As it was drawn; of the code's own: null. */
  to: Definition | null
  startsAt: Date | null
  endsAt: Date | null
  version: number
  delayMs: number
  cursor: Date
  isPaused: boolean
  isRetired: boolean
  refusals: number
  isOpen: boolean
}

interface Member {
  id: string
  catalogue: number
  version: string | null
  startedAt: number
}

function openHistory(from: Date, id: string) {
  let now = from
  let started = 0
  let fleet: Member[] = []
  const appearedAt = new Map<string, number>()
  const entries = new Map<string, Entry>()
  /** The highest version of what was deleted. */
  let gone = 0
  /** By schedule and instant: outcome and version. */
  const ledger = new Map<string, string>()
  /** The payload of each tick that was enqueued, by schedule and instant. */
  const payloads = new Map<string, object>()
  /** The payload of all work, by its id. */
  const work = new Map<string, object>()

  function* dueOf(
    { cron, timeZone, cursor, startsAt, endsAt }: Entry,
    until: Date,
  ): Generator<Date> {
    for (const at of ticksByWallClock(cron, timeZone, ...minutesOf(cursor, until))) {
      const tick = new Date(at)
      if (tick <= cursor || tick > until || (endsAt !== null && tick > endsAt)) continue
      if (startsAt === null || tick >= startsAt) yield tick
    }
  }

  /** The first instant that is not decided yet. Each expression has one within eight days. */
  function nextOf(entry: Entry): Date | null {
    const after = Math.max(+entry.cursor, +(entry.startsAt ?? 0))
    const [next = null] = dueOf(entry, new Date(after + 8 * DAY_MS))
    return next
  }

  /** What becomes of what is due at `until`. With a change no payload is refused. */
  function decide(
    entry: Entry,
    until: Date,
    by: { refuses: boolean; isLatest: boolean } | null,
  ): void {
    const schedule = `${entry.name} ${entry.key}`
    if (entry.isRetired) return
    const due = [...dueOf(entry, until)]
    const latest = due.at(-1)
    if (latest === undefined) return
    const doesFit = !(by?.refuses && entry.to?.v === 1)
    if (by?.isLatest && doesFit && entry.isPaused && entry.refusals >= 3)
      Object.assign(entry, { isPaused: false, refusals: 0 })
    const tell = (tick: Date, outcome: string) => {
      const place = `${schedule} ${tick.toISOString()}`
      expect(ledger.has(place), `${place} twice`).toBe(false)
      ledger.set(place, `${outcome} v${entry.version}`)
      payloads.set(place, entry.to === null ? {} : { v: entry.to.v })
    }
    const limitMs = entry.missed === 'skip' ? 10_000 : entry.catchUpMs
    const isHeld = entry.overlap === 'skip' && entry.isOpen
    const outcomes = due.map((tick, at) => {
      if (entry.isPaused) return 'skipped'
      if (due.length > 101 && at < due.length - 100) return 'missed'
      if (until.getTime() - tick.getTime() > limitMs) return 'missed'
      if (isHeld) return 'skipped'
      return entry.missed === 'all' || tick === latest ? 'enqueued' : 'coalesced'
    })
    const isRefused = by?.isLatest === true && !doesFit && outcomes.includes('enqueued')
    for (const [at, tick] of due.entries()) {
      const outcome = outcomes[at] as string
      const isWanted = outcome === 'enqueued' || outcome === 'coalesced'
      tell(tick, isRefused && isWanted ? 'skipped' : outcome)
    }
    if (isRefused) {
      entry.refusals++
      if (entry.refusals === 3) entry.isPaused = true
    } else if (outcomes.includes('enqueued')) {
      if (by !== null && doesFit) entry.refusals = 0
      if (by === null) entry.refusals = doesFit ? 0 : entry.refusals
      entry.isOpen = true
    }
    entry.cursor = latest
  }

  /** Of the workers that live and know the job, the one that defines. */
  function definerOf(name: string): Member | undefined {
    const place = ({ version, startedAt }: Member) =>
      [version === null ? -1 : (appearedAt.get(version) as number), startedAt] as const
    return fleet
      .filter(({ catalogue }) => FLEET[catalogue]?.some((job) => job.name === name))
      .toSorted(
        (one, other) => place(other)[0] - place(one)[0] || place(other)[1] - place(one)[1],
      )[0]
  }

  function define({ name, schedule }: Job): void {
    const before = entries.get(`${name} `)
    if (schedule === null) {
      if (before === undefined || before.isRetired) return
      decide(before, now, null)
      Object.assign(before, { isRetired: true, version: before.version + 1 })
      return
    }
    const { cron, timeZone, missed, overlap, catchUpMs } = schedule
    const made = { cron, timeZone, missed, overlap, catchUpMs }
    if (before === undefined) {
      const none = { isPaused: false, isRetired: false, refusals: 0, isOpen: false, delayMs: 0 }
      const at = { startsAt: null, endsAt: null, cursor: now, version: 1, to: null }
      entries.set(`${name} `, { name, key: '', ...made, ...none, ...at })
      return
    }
    const isSame = Object.entries(made).every(([part, value]) => before[part as 'cron'] === value)
    if (isSame && !before.isRetired) return
    decide(before, now, null)
    const isMoved = before.isRetired || before.cron !== cron || before.timeZone !== timeZone
    Object.assign(before, made, { isRetired: false, version: before.version + 1 })
    if (isMoved) before.cursor = now
  }

  async function upsert(which: { name: string; key: string }, to: Definition): Promise<void> {
    const place = `${which.name} ${which.key}`
    const { startsInMs, endsInMs, v, ...definition } = to
    const before = entries.get(place)
    const startsAt = startsInMs === null ? null : new Date(from.getTime() + startsInMs)
    const endsAt = endsInMs === null ? null : new Date(from.getTime() + endsInMs)
    // A schedule that wants a run for each tick cannot refuse some.
    const overlap = to.missed === 'all' ? 'allow' : to.overlap
    const made = { ...to, overlap }
    const job = which.name === 'invoice' ? invoice : digest
    const wanted = { ...definition, key: which.key, overlap, payload: { v }, startsAt, endsAt }
    const answer = await test.schedules.upsert(null, job, wanted)
    const [row] = await rows<{ delay: number }>(
      'select "delayMs"::int as delay from "JobSchedule" where "name" = $1 and "key" = $2',
      [which.name, which.key],
    )
    const isMoved =
      before === undefined ||
      (['cron', 'timeZone', 'startsInMs', 'endsInMs'] as const).some(
        (part) => before.to?.[part] !== made[part],
      )
    if (before !== undefined && isMoved) decide(before, now, null)
    const isChanged = JSON.stringify(before?.to) !== JSON.stringify(made)
    const isLifted = before !== undefined && before.to?.v !== v && before.refusals > 0
    const entry: Entry = {
      ...{ ...which, ...definition, overlap, to: made, startsAt, endsAt, delayMs: row!.delay },
      version: (before?.version ?? gone) + (isChanged ? 1 : 0),
      cursor: before === undefined || (isMoved && now > before.cursor) ? now : before.cursor,
      isPaused: before?.isPaused === true && !(isLifted && before.refusals >= 3),
      isRetired: false,
      refusals: isLifted ? 0 : (before?.refusals ?? 0),
      isOpen: before?.isOpen ?? false,
    }
    entries.set(place, entry)
    expect(answer.version, `version of ${place}`).toBe(entry.version)
    expect(answer.nextAt, `next of ${place}`).toEqual(nextOf(entry))
  }

  function schedulerOf(member: Member, on: Database = own) {
    const jobs = FLEET[member.catalogue] as Job[]
    return createScheduler({ jobs, database: on, workerId: member.id, log: containedLog({}) })
  }

  const isLike = (one: Member) => (other: Member) =>
    other.version === one.version && other.catalogue === one.catalogue

  /** Workers of one kind make a round at once. */
  async function makeRounds(like: readonly Member[]): Promise<void> {
    const [{ catalogue, version }] = like as [Member]
    const jobs = FLEET[catalogue] as Job[]
    const isDefiner = new Map(jobs.map(({ name }) => [name, definerOf(name)]))
    for (const job of jobs) if (like.includes(isDefiner.get(job.name) as Member)) define(job)
    for (const entry of entries.values()) {
      if (!isDefiner.has(entry.name)) continue
      const isLatest = isDefiner.get(entry.name)?.version === version
      const until = new Date(now.getTime() - entry.delayMs)
      decide(entry, until, { refuses: catalogue === 1, isLatest })
    }
    await Promise.all(like.map((member) => schedulerOf(member).wake()))
  }

  async function take(step: Step): Promise<void> {
    switch (step.do) {
      case 'upsert':
        return await upsert(step.of, step.to)
      case 'change': {
        const to = entries.get(`${step.of.name} ${step.of.key}`)?.to
        if (to) await upsert(step.of, { ...to, ...step.part })
        return
      }
      case 'delete':
      case 'pause':
      case 'resume':
        return await act(step.do, step.of)
      case 'pauseOwn':
      case 'resumeOwn':
        return await act(step.do === 'pauseOwn' ? 'pause' : 'resume', { name: step.name, key: '' })
      case 'pass':
        now = new Date(now.getTime() + step.minutes * MINUTE_MS)
        return await setTime(now.toISOString())
      case 'start':
        return await begin(step)
      case 'stop':
      case 'kill':
        return await leave(step)
      case 'decide': {
        await take({ do: 'pass', minutes: step.minutes })
        const left = new Set([...fleet.slice(step.first), ...fleet.slice(0, step.first)])
        for (const member of left) {
          const like = [...left].filter(isLike(member))
          for (const one of like) left.delete(one)
          await makeRounds(like)
        }
        return
      }
      case 'finish':
        for (const done of await rows<{ id: string; payload: object }>(
          'delete from "JobWork" returning "id", "payload"',
        )) {
          expect(work.has(done.id), `${done.id} twice`).toBe(false)
          work.set(done.id, done.payload)
        }
        for (const entry of entries.values()) entry.isOpen = false
        return
      default:
        step satisfies never
    }
  }

  async function begin({ version, catalogue }: { version: string | null; catalogue: number }) {
    const startedAt = now.getTime() + started++
    const member = { id: `${id}-${started}`, catalogue, version, startedAt }
    if (version !== null && !appearedAt.has(version)) appearedAt.set(version, startedAt)
    const jobs = FLEET[catalogue] as Job[]
    await signUp(
      member.id,
      jobs.map(({ name }) => name),
      version,
    )
    fleet.push(member)
    await makeRounds([member])
  }

  async function leave(step: { do: 'stop' | 'kill'; which: number; amid: number }): Promise<void> {
    const member = fleet[step.which % Math.max(1, fleet.length)]
    if (member === undefined) return
    const like = fleet.filter(isLike(member)).filter((other) => other !== member)
    // Others of its kind decide the same of what it leaves undone.
    if (step.do === 'kill' && like.length > 0)
      await schedulerOf(member, dyingAfter(step.amid)).wake()
    fleet = fleet.filter((other) => other !== member)
    if (step.do === 'stop')
      await rows(
        `with gone as (delete from "JobWorker" where "id" = $1 returning *)
         insert into "JobFormerWorker" select "id", "version", "startedAt", $2 from gone where "version" is not null`,
        [member.id, now],
      )
    await kill(member.id)
    if (step.do === 'kill' && like.length > 0) {
      // It may have defined before it died.
      for (const job of FLEET[member.catalogue] as Job[])
        if ([...like, member].includes(definerWith(member, job.name) as Member)) define(job)
      await makeRounds(like)
    }
  }

  function definerWith(member: Member, name: string): Member | undefined {
    fleet.push(member)
    const definer = definerOf(name)
    fleet.pop()
    return definer
  }

  async function act(
    what: 'delete' | 'pause' | 'resume',
    which: { name: string; key: string },
  ): Promise<void> {
    const place = `${which.name} ${which.key}`
    const entry = entries.get(place)
    const by = { actor: 'ada', reason: 'drawn' }
    const answer =
      which.key !== ''
        ? await test.schedules[what](null, which, which.key, by)
        : what === 'pause'
          ? await test.pauseSchedule(which.name, by)
          : await test.resumeSchedule(which.name, by)
    if (entry === undefined || entry.isRetired)
      return expect(answer).toBe(which.key === '' ? 'notScheduled' : 'notFound')
    const wasPaused = entry.isPaused && (what === 'resume' || entry.refusals < 3)
    const [before, after] = {
      delete: ['deleted', 'deleted'],
      pause: ['paused', 'alreadyPaused'],
      resume: ['notPaused', 'resumed'],
    }[what] as [string, string]
    expect(answer).toBe(wasPaused ? after : before)
    if (what === 'delete') {
      decide(entry, now, null)
      entries.delete(place)
      gone = Math.max(gone, entry.version)
    } else if (what === 'pause') {
      if (!entry.isPaused || entry.refusals >= 3) entry.refusals = 0
      entry.isPaused = true
    } else if (entry.isPaused) {
      decide(entry, now, null)
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
      workId: string
    }>(
      `select "name", "key", "scheduledFor" as at, "through", "count", "outcome", "version", "workId" from "JobTick"`,
    )
    await take({ do: 'finish' })
    const expected = new Map(ledger)
    for (const row of written) {
      const within = [...expected.keys()].filter((place) => {
        const at = new Date(place.slice(place.lastIndexOf(' ') + 1))
        const isOf = place.startsWith(`${row.name} ${row.key} `)
        return isOf && at >= row.at && at <= (row.through ?? row.at)
      })
      expect(within.length, `${row.name} ${row.key} ${row.at.toISOString()}`).toBe(row.count)
      for (const place of within) {
        expect(`${row.outcome} v${row.version}`, place).toBe(expected.get(place))
        if (row.outcome === 'enqueued')
          expect(work.get(row.workId), place).toEqual(payloads.get(place))
        expected.delete(place)
      }
    }
    expect([...expected]).toEqual([])
    expect(work.size).toBe(written.filter(({ outcome }) => outcome === 'enqueued').length)
    const stored = await rows<{
      name: string
      key: string
      cron: string
      isRetired: boolean
      next: Date | null
    }>(
      `select "name", "key", "cron", "retiredAt" is not null as "isRetired", "nextAt" as next from "JobSchedule"`,
    )
    const told = ({ name, key, cron, isRetired, next }: (typeof stored)[0]) =>
      `${name} ${key} ${cron} ${isRetired} ${next?.toISOString()}`
    const modelled = [...entries.values()].map((entry) =>
      told({ ...entry, next: entry.isRetired ? null : nextOf(entry) }),
    )
    expect(stored.map(told).toSorted()).toEqual(modelled.toSorted())
  }

  let isStarted = false
  return {
    check,
    async take(step: Step) {
      if (!isStarted) await setTime(now.toISOString())
      isStarted = true
      await take(step)
    },
  }
}

/** Whole minutes around a span, as the rule of the wall clock goes through them. */
function minutesOf(after: Date, through: Date): [from: number, to: number] {
  const from = Math.floor(after.getTime() / MINUTE_MS) * MINUTE_MS - MINUTE_MS
  return [from, Math.floor(through.getTime() / MINUTE_MS) * MINUTE_MS + MINUTE_MS]
}

/** Connections of a process that is killed once it has sent so many statements of its transactions. */
function dyingAfter(statements: number): Database {
  let left = statements
  const query =
    (connection: Connection): Connection['query'] =>
    async (...asked) => {
      if (left-- <= 0) throw new Error('killed')
      return await connection.query(...asked)
    }
  return {
    ...own,
    query: async (...asked) => {
      if (left <= 0) throw new Error('killed')
      return await own.query(...asked)
    },
    transaction: (work, options) =>
      own.transaction((tx) => work({ ...tx, query: query(tx) }), options),
  }
}
