import { describe, expect, it } from 'vitest'
import { describeUpcoming } from '../../src/console/readJobDetail.ts'

const upcoming = (cron: string, timeZone: string, from: string) =>
  describeUpcoming({ cron, timeZone }, new Date(from)).map(
    ({ local, offset, mark }) => `${local} ${offset}${mark === null ? '' : ` ${mark}`}`,
  )

describe('describeUpcoming', () => {
  it('lists the next five in the zone of the schedule, however far away they are', () => {
    const ticks = describeUpcoming(
      { cron: '30 9 29 2 *', timeZone: 'Asia/Kolkata' },
      new Date('2026-11-24T00:00:00Z'),
    )
    expect(ticks[0]).toEqual({
      at: '2028-02-29T04:00:00.000Z',
      local: '2028-02-29 09:30:00',
      offset: '+05:30',
      mark: null,
    })
    expect(ticks).toHaveLength(5)
  })

  it('lists of later ones those that the clocks touch, and the first after they have changed', () => {
    expect(upcoming('30 2 * * *', 'Europe/Berlin', '2026-03-20T00:00:00Z').slice(5)).toEqual([
      '2026-03-29 03:00:00 +02:00 afterGap',
    ])
    expect(upcoming('0 9 * * *', 'Europe/Berlin', '2026-03-20T00:00:00Z').slice(5)).toEqual([
      '2026-03-29 09:00:00 +02:00',
    ])
    expect(upcoming('45 1 * * *', 'Australia/Lord_Howe', '2026-03-25T00:00:00Z').slice(5)).toEqual([
      '2026-04-05 01:45:00 +11:00 repeatedHour',
      '2026-04-06 01:45:00 +10:30',
    ])
  })

  it('marks what falls into the hour that comes twice', () => {
    expect(upcoming('*/30 * * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z').slice(5)).toEqual([
      '2026-10-25 02:00:00 +02:00 repeatedHour',
      '2026-10-25 02:30:00 +02:00 repeatedHour',
      '2026-10-25 02:00:00 +01:00 repeatedHour',
      '2026-10-25 02:30:00 +01:00 repeatedHour',
    ])
  })

  it('ends after a thousand, in UTC without any mark', () => {
    expect(upcoming('* * * * * *', 'UTC', '2026-11-24T00:00:00Z')).toHaveLength(5)
  })
})
