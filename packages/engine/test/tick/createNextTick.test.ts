import { describe, expect, it } from 'vitest'
import { nextTick } from '../../src/index.ts'
import { createNextTick } from '../../src/tick/nextTicks.ts'

describe('createNextTick', () => {
  it('answers as the calendar does, whatever it was asked before', () => {
    const remembering = createNextTick()
    const schedules = ['0 9 * * *', '* * * * *'].flatMap((cron) =>
      ['UTC', 'Asia/Tokyo'].map((timeZone) => ({ cron, timeZone })),
    )
    for (const at of ['2026-05-01T08:00:00Z', '2026-05-02T08:00:00Z', '2026-05-01T08:00:00Z']) {
      for (const schedule of [...schedules, ...schedules]) {
        const after = new Date(at)
        expect(remembering(schedule, after)).toEqual(nextTick(schedule, after))
      }
    }
  })

  it('asks the calendar once for jobs that share a schedule', () => {
    const remembering = createNextTick()
    const after = new Date('2026-05-01T08:00:00Z')
    const [first, second] = ['UTC', 'UTC'].map((timeZone) =>
      remembering({ cron: '0 9 * * *', timeZone }, after),
    )
    expect(second).toBe(first)
  })
})
