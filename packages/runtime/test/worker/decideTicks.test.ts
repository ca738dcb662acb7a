import { describe, expect, it } from 'vitest'
import { defineJob, type ScheduleOptions } from '../../src/contract/index.ts'
import { decideTicks } from '../../src/worker/decideTicks.ts'
import { dueTicks, MAX_LISTED } from '../../src/worker/dueTicks.ts'

const NOW = new Date('2026-05-01T12:00:00.500Z')
const DAY = 86_400_000

const schedule = (options: Partial<ScheduleOptions> = {}) =>
  defineJob({ name: 'sweep', description: '', schedule: { cron: '0 * * * *', ...options } })
    .schedule!

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
})
