import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defineJob, type ScheduleOptions } from '../../src/index.ts'
import { MISSED_POLICIES, nextTicks, OVERLAP_POLICIES } from '../../src/internal.ts'
import { decideTicks } from '../../src/tick/decideTicks.ts'
import { dueTicks, MAX_LISTED } from '../../src/tick/dueTicks.ts'

const NOW = new Date('2026-05-01T12:00:00.500Z')
const DAY = 86_400_000

const schedule = (options: Partial<ScheduleOptions> = {}) =>
  defineJob({ name: 'sweep', schedule: { cron: '0 * * * *', ...options } }).schedule!

async function decide(options: Partial<ScheduleOptions>, cursor: string, situation = {}) {
  const resolved = schedule(options)
  const due = await dueTicks(resolved, new Date(cursor), NOW)
  return decideTicks(resolved, due, {
    now: NOW,
    isPaused: false,
    isUnfinished: false,
    ...situation,
  })
}

const outcomes = (rows: { outcome: string; scheduledFor: Date }[]) =>
  rows.map(({ outcome, scheduledFor }) => `${scheduledFor.toISOString().slice(11, 16)} ${outcome}`)

describe('decideTicks', () => {
  it('enqueues the one tick that is due', async () => {
    expect(outcomes(await decide({}, '2026-05-01T11:00:00Z'))).toEqual(['12:00 enqueued'])
  })

  it('decides nothing when nothing is due', async () => {
    expect(await decide({}, '2026-05-01T12:00:00Z')).toEqual([])
  })

  it('once: one run makes up for all ticks within the window, and each has its row', async () => {
    expect(outcomes(await decide({}, '2026-05-01T08:30:00Z'))).toEqual([
      '09:00 coalesced',
      '10:00 coalesced',
      '11:00 coalesced',
      '12:00 enqueued',
    ])
  })

  it('once: ticks beyond the catch-up window are missed', async () => {
    const rows = await decide({ catchUpMs: 90 * 60_000 }, '2026-05-01T08:30:00Z')

    expect(outcomes(rows)).toEqual([
      '09:00 missed',
      '10:00 missed',
      '11:00 coalesced',
      '12:00 enqueued',
    ])
  })

  it('once: a single tick beyond the window is not made up for', async () => {
    expect(
      outcomes(await decide({ cron: '0 3 * * *', catchUpMs: 60_000 }, '2026-05-01T00:00:00Z')),
    ).toEqual(['03:00 missed'])
  })

  it('all: each tick within the window gets its run', async () => {
    const rows = await decide({ missed: 'all', overlap: 'queue' }, '2026-05-01T09:30:00Z', {
      isUnfinished: true,
    })

    expect(outcomes(rows)).toEqual(['10:00 enqueued', '11:00 enqueued', '12:00 enqueued'])
  })

  it('skip: a tick that was not seen in time is missed, the one at hand is run', async () => {
    expect(outcomes(await decide({ missed: 'skip' }, '2026-05-01T09:30:00Z'))).toEqual([
      '10:00 missed',
      '11:00 missed',
      '12:00 enqueued',
    ])
  })

  it('overlap skip: a tick during an earlier run is skipped, and says so', async () => {
    const [row] = await decide({}, '2026-05-01T11:00:00Z', { isUnfinished: true })

    expect(row).toMatchObject({ outcome: 'skipped', reason: 'an earlier run had not ended' })
  })

  it('overlap skip: what a blocked tick would have made up for is skipped with it', async () => {
    const rows = await decide({}, '2026-05-01T09:30:00Z', { isUnfinished: true })

    expect(rows.map(({ outcome, reason }) => `${outcome} ${reason}`)).toEqual(
      Array(3).fill('skipped an earlier run had not ended'),
    )
  })

  it.each([
    [0, 'enqueued'],
    [10_000, 'enqueued'],
    [10_001, 'missed'],
  ])('skip: a tick that is decided %i ms after it was due is %s', async (lateMs, outcome) => {
    const resolved = schedule({ missed: 'skip' })
    const scheduledFor = new Date('2026-05-01T12:00:00Z')
    const now = new Date(scheduledFor.getTime() + lateMs)

    expect(
      decideTicks(
        resolved,
        { listed: [scheduledFor], earlier: null },
        { now, isPaused: false, isUnfinished: false },
      ),
    ).toMatchObject([{ outcome }])
  })

  it.each(['queue', 'allow'] as const)(
    'overlap %s: a tick during an earlier run is enqueued',
    async (overlap) => {
      expect(
        outcomes(await decide({ overlap }, '2026-05-01T11:00:00Z', { isUnfinished: true })),
      ).toEqual(['12:00 enqueued'])
    },
  )

  it('paused: every due tick is skipped', async () => {
    const rows = await decide({}, '2026-05-01T09:30:00Z', { isPaused: true })

    expect(rows.map(({ outcome, reason }) => `${outcome} ${reason}`)).toEqual(
      Array(3).fill('skipped paused'),
    )
  })

  it('lists the newest ticks one by one and says how many came before, from when to when', async () => {
    const cursor = new Date(NOW.getTime() - 30 * DAY).toISOString()
    const rows = await decide({ missed: 'all', overlap: 'queue', catchUpMs: 60 * DAY }, cursor)
    const [earlier, ...listed] = rows

    expect(listed).toHaveLength(MAX_LISTED)
    expect(listed.every(({ outcome }) => outcome === 'enqueued')).toBe(true)
    expect(earlier).toMatchObject({ outcome: 'missed', count: 30 * 24 - MAX_LISTED })
    expect(earlier?.scheduledFor.toISOString()).toBe('2026-04-01T13:00:00.000Z')
    expect(earlier?.through?.getTime()).toBe(listed[0]!.scheduledFor.getTime() - 3_600_000)
  })

  it('says of more than it counts that there were over 10,000', async () => {
    const cursor = new Date(NOW.getTime() - 600 * DAY).toISOString()
    const [missed] = await decide({ missed: 'all', overlap: 'queue' }, cursor)
    expect(missed).toMatchObject({
      count: 10_000,
      reason: 'more ticks were due than are made up for: over 10,000',
    })
    const [skipped] = await decide({}, cursor, { isPaused: true })
    expect(skipped).toMatchObject({ count: 10_000, reason: 'paused: over 10,000' })
  })
})

describe('whatever is due, and whatever the policies', () => {
  const policies = fc
    .record({
      missed: fc.constantFrom(...MISSED_POLICIES),
      overlap: fc.constantFrom(...OVERLAP_POLICIES),
      catchUpMs: fc.integer({ min: 1, max: 4 * DAY }),
    })
    // The one pair that defineJob refuses.
    .filter(({ missed, overlap }) => !(missed === 'all' && overlap === 'skip'))
  // At most: more ticks than are listed one by one.
  const outages = fc.oneof(
    ...[
      { cron: '*/5 * * * * *', longestMs: 15 * 60_000 },
      { cron: '*/7 * * * *', longestMs: DAY },
      { cron: '0 * * * *', longestMs: 6 * DAY },
      { cron: '30 2 * * *', longestMs: 6 * DAY },
    ].map(({ cron, longestMs }) =>
      fc.record({ cron: fc.constant(cron), backMs: fc.nat(longestMs) }),
    ),
  )
  const situations = fc.record({
    outage: outages,
    lateMs: fc.nat(20_000),
    isPaused: fc.boolean(),
    isUnfinished: fc.boolean(),
  })

  it('each tick is in one row, and what is made up for is so by one that is enqueued', async () => {
    await fc.assert(
      fc.asyncProperty(policies, situations, async (policy, drawn) => {
        const {
          outage: { cron, backMs },
          lateMs,
          ...state
        } = drawn
        const resolved = schedule({ cron, ...policy })
        const now = new Date(NOW.getTime() + lateMs)
        const cursor = new Date(now.getTime() - backMs)
        const due = await dueTicks(resolved, cursor, now)
        const rows = decideTicks(resolved, due, { now, ...state })

        const ticks: number[] = []
        for (const tick of nextTicks(resolved, cursor)) {
          if (tick > now) break
          ticks.push(tick.getTime())
        }
        let at = 0
        for (const { scheduledFor, count, through } of rows) {
          expect(scheduledFor.getTime()).toBe(ticks[at])
          at += count
          expect(through?.getTime() ?? ticks[at - 1]).toBe(ticks[at - 1])
          expect(through !== null || count === 1).toBe(true)
        }
        expect(at).toBe(ticks.length)

        const enqueued = rows.filter(({ outcome }) => outcome === 'enqueued')
        for (const { outcome, reason } of rows) expect(reason === null).toBe(outcome === 'enqueued')
        for (const { reason, scheduledFor } of rows.filter((row) => row.outcome === 'coalesced')) {
          expect(enqueued.map((row) => `made up for by ${row.scheduledFor.toISOString()}`)).toEqual(
            [reason],
          )
          expect(scheduledFor.getTime()).toBeLessThan(enqueued[0]!.scheduledFor.getTime())
        }
        const isBlocked = state.isPaused || (policy.overlap === 'skip' && state.isUnfinished)
        const most = policy.missed === 'all' ? Infinity : 1
        expect(enqueued.length).toBeLessThanOrEqual(isBlocked ? 0 : most)
      }),
      { numRuns: 150 },
    )
  })
})
