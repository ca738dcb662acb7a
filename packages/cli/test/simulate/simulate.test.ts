import { defineJob, isScheduled, type ScheduledJob } from '@roundsman/engine'
import { describe, expect, it } from 'vitest'
import type { Layout } from '../../src/command/layout.ts'
import { formatSimulation } from '../../src/simulate/formatSimulation.ts'
import { simulate, type SimulateOptions } from '../../src/simulate/simulate.ts'

const plain: Layout = { width: 80, paint: (_, text) => text }

function job(name: string, cron: string, timeZone = 'UTC', timeoutMs = 600_000): ScheduledJob {
  const defined = defineJob({ name, schedule: { cron, timeZone }, timeoutMs })
  if (!isScheduled(defined)) throw new Error('unreachable')
  return defined
}

const run = (options: Partial<SimulateOptions>) =>
  simulate({
    jobs: [job('sweepFloors', '*/30 * * * *'), job('wakeNeighbours', '0 2 * * *')],
    from: new Date('2026-05-01T01:30Z'),
    to: new Date('2026-05-01T03:00Z'),
    outage: null,
    durations: [],
    limit: 100,
    ...options,
  })

describe('simulate', () => {
  it('puts the ticks of all jobs in the order of time, and finds who meets whom', async () => {
    const { ticks, collisions, overlaps, left, cutAt } = await run({})

    expect(ticks.map((tick) => `${tick.local.slice(11, 16)} ${tick.job}`)).toEqual([
      '01:30 sweepFloors',
      '02:00 sweepFloors',
      '02:00 wakeNeighbours',
      '02:30 sweepFloors',
    ])
    const meeting = {
      jobs: ['sweepFloors', 'wakeNeighbours'],
      count: 1,
      first: ticks[1]?.scheduledFor,
    }
    expect(collisions).toEqual([meeting])
    expect(overlaps).toEqual([meeting])
    expect({ left, cutAt }).toEqual({ left: 0, cutAt: null })
  })

  it('takes runs to last as long as was measured, where there are enough, else as long as they may', async () => {
    const measured = (runs: number) => [{ name: 'sweepFloors', p95Ms: 45 * 60_000, runs }]

    expect((await run({ durations: measured(19) })).jobs[0]).toMatchObject({
      durationMs: 600_000,
      measuredRuns: null,
      outcomes: { enqueued: 3, skipped: 0 },
    })
    expect((await run({ durations: measured(20) })).jobs[0]).toMatchObject({
      durationMs: 45 * 60_000,
      measuredRuns: 20,
      outcomes: { enqueued: 2, skipped: 1 },
    })
  })

  it('leaves out what is beyond the limit, and says how much', async () => {
    const { ticks, left, jobs } = await run({ limit: 1 })

    expect([ticks.length, left]).toEqual([1, 3])
    expect(jobs.map(({ outcomes }) => outcomes.enqueued)).toEqual([3, 1])
  })

  it('ends for all jobs where one has too many ticks', async () => {
    const jobs = [job('wakeNeighbours', '0 2 * * *'), job('countSeconds', '* * * * * *')]
    const { ticks, cutAt, jobs: simulated } = await run({ jobs, maxTicks: 60 })

    expect(cutAt).toEqual(new Date('2026-05-01T01:31:00Z'))
    expect(ticks).toHaveLength(60)
    expect(simulated.map(({ outcomes }) => outcomes.enqueued + outcomes.skipped)).toEqual([0, 60])
  })

  it('compares policies only for an outage', async () => {
    const outage = { from: new Date('2026-05-01T01:45Z'), to: new Date('2026-05-01T02:15Z') }

    expect((await run({})).jobs[0]?.policies).toBeNull()
    expect((await run({ outage })).jobs[0]?.policies).toHaveLength(8)
  })
})

describe('formatSimulation', () => {
  const format = async (options: Partial<SimulateOptions>, maxRows = 100) =>
    formatSimulation(await run(options), plain, maxRows).split('\n')

  it('fits into 80 columns', async () => {
    const outage = { from: new Date('2026-05-01T01:45Z'), to: new Date('2026-05-01T02:15Z') }
    const jobs = [job('sweepFloors', '*/30 * * * *', 'UTC', 1_000)]

    expect(await format({ jobs, outage })).toEqual([
      'From 2026-05-01 01:30:00 up to 2026-05-01 03:00:00 UTC',
      'No worker from 2026-05-01 01:45:00 to 2026-05-01 02:15:00 UTC',
      '  sweepFloors  */30 * * * *, UTC: 3 ticks, 3 run; 1 s each (its time-out)',
      '',
      'UTC               job          what becomes of it',
      '2026-05-01 01:30  sweepFloors  run',
      '2026-05-01 02:00  sweepFloors  run: starts 02:15',
      '2026-05-01 02:30  sweepFloors  run',
      '',
      'What each policy would do with the outage',
      '  sweepFloors, which makes up for what was due up to 1 d before',
      '    missed  overlap  run  coalesced  missed  skipped',
      '    once    skip     1    0          0       0        its own',
      '    once    queue    1    0          0       0',
      '    once    allow    1    0          0       0',
      '    all     queue    1    0          0       0',
      '    all     allow    1    0          0       0',
      '    skip    skip     0    0          1       0',
      '    skip    queue    0    0          1       0',
      '    skip    allow    0    0          1       0',
    ])
  })

  it('marks what the clocks do, with the local time beside UTC', async () => {
    const jobs = [job('wakeNeighbours', '30 2 * * *', 'Europe/Berlin')]
    const lines = await format({
      jobs,
      from: new Date('2026-03-28T00:00Z'),
      to: new Date('2026-03-30T00:00Z'),
    })

    expect(lines.slice(-3)).toEqual([
      '2026-03-28 01:30  03-28 02:30 +01:00  wakeNeighbours  run',
      '2026-03-29 01:00  03-29 03:00 +02:00  wakeNeighbours  run: clocks are set',
      '                                                      forward: was due before',
    ])
  })

  it('folds ticks of a job that follow each other and come to the same, whatever lies between', async () => {
    const jobs = [
      job('sweepFloors', '*/15 * * * *', 'UTC', 1_000),
      job('wakeNeighbours', '0 2 * * *'),
    ]
    const from = new Date('2026-05-01T00:00Z')

    const lines = await format({ jobs, from, to: new Date('2026-05-01T04:00Z') })

    expect(lines.filter((line) => line.startsWith('2026'))).toEqual([
      '2026-05-01 00:00  sweepFloors     run: 16 like this up to 03:45',
      '2026-05-01 02:00  wakeNeighbours  run',
    ])
    const outage = { from: new Date('2026-05-01T02:10Z'), to: new Date('2026-05-01T02:20Z') }
    const cut = await format({
      jobs: jobs.slice(0, 1),
      from,
      to: new Date('2026-05-01T04:00Z'),
      outage,
    })
    expect(cut.filter((line) => line.startsWith('2026'))).toEqual([
      '2026-05-01 00:00  sweepFloors  run: 9 like this up to 02:00',
      '2026-05-01 02:15  sweepFloors  run: starts 02:20',
      '2026-05-01 02:30  sweepFloors  run: 6 like this up to 03:45',
    ])
  })

  it('says what it leaves out', async () => {
    expect(await format({}, 1)).toContain('1 tick left out: --limit shows more')
    expect(await format({}, 0)).toContain('4 ticks left out: --limit shows more')
    expect(await format({ limit: 1 })).toContain('3 ticks left out: --limit shows more')
    const jobs = [job('countSeconds', '* * * * * *', 'UTC', 1)]
    expect((await format({ jobs, maxTicks: 60, limit: 1 })).join(' ')).toContain(
      'The range has too many ticks: it was gone through up to 2026-05-01 01:31:00 UTC.',
    )
    expect(await format({ jobs: [job('wakeNeighbours', '0 5 * * *')] })).toContain(
      'No tick lies in it.',
    )
  })
})
