import { describe, expect, it } from 'vitest'
import { describeUpcoming } from '../../src/console/readJobDetail.ts'

const marked = (cron: string, timeZone: string, from: string) =>
  describeUpcoming({ cron, timeZone }, new Date(from))
    .upcoming.filter(({ mark }) => mark !== null)
    .map(({ local, offset, mark }) => `${local} ${offset} ${mark}`)

describe('describeUpcoming', () => {
  it('tells ticks in the zone of the schedule', () => {
    const { upcoming, isCut } = describeUpcoming(
      { cron: '30 9 * * 1', timeZone: 'Asia/Kolkata' },
      new Date('2026-11-24T00:00:00Z'),
    )
    expect(upcoming[0]).toEqual({
      at: '2026-11-30T04:00:00.000Z',
      local: '2026-11-30 09:30:00',
      offset: '+05:30',
      mark: null,
    })
    expect([upcoming.length, isCut]).toEqual([4, false])
  })

  it('marks the tick after an hour that does not come', () => {
    expect(marked('30 2 * * *', 'Europe/Berlin', '2026-03-20T00:00:00Z')).toEqual([
      '2026-03-29 03:00:00 +02:00 afterGap',
    ])
  })

  it('marks what falls into the hour that comes twice', () => {
    expect(marked('*/30 * * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z')).toEqual([
      '2026-10-25 02:00:00 +02:00 repeatedHour',
      '2026-10-25 02:30:00 +02:00 repeatedHour',
      '2026-10-25 02:00:00 +01:00 repeatedHour',
      '2026-10-25 02:30:00 +01:00 repeatedHour',
    ])
  })

  it('knows half an hour as well', () => {
    expect(marked('45 1 * * *', 'Australia/Lord_Howe', '2026-04-01T00:00:00Z')).toEqual([
      '2026-04-05 01:45:00 +11:00 repeatedHour',
    ])
  })

  it('marks nothing in UTC', () => {
    expect(marked('*/30 * * * *', 'UTC', '2026-10-24T12:00:00Z')).toEqual([])
  })

  it('ends after a thousand, and says so', () => {
    const { upcoming, isCut } = describeUpcoming(
      { cron: '* * * * * *', timeZone: 'UTC' },
      new Date('2026-11-24T00:00:00Z'),
    )
    expect([upcoming.length, isCut]).toEqual([1_000, true])
  })
})
