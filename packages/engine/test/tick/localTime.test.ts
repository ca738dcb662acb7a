import { describe, expect, it } from 'vitest'
import { createLocalTime } from '../../src/internal.ts'

const describeAt = (timeZone: string, instant: string) =>
  createLocalTime(timeZone).describe(new Date(instant))

describe('createLocalTime', () => {
  it('tells an instant as the clocks of the zone show it, and how far they are ahead', () => {
    expect(describeAt('Asia/Kolkata', '2026-11-30T04:00:00Z')).toEqual({
      local: '2026-11-30 09:30:00',
      offset: '+05:30',
      mark: null,
    })
    expect(describeAt('America/New_York', '2026-01-01T00:00:00Z').offset).toBe('-05:00')
    expect(createLocalTime('Asia/Kolkata').offsetMs(new Date('2026-11-30T04:00:00Z'))).toBe(
      19_800_000,
    )
  })

  it('tells years of two digits as such', () => {
    expect(describeAt('UTC', '0050-06-01T12:00:00Z').local).toBe('0050-06-01 12:00:00')
    expect(describeAt('Asia/Kolkata', '0099-12-31T20:00:00Z').local).toMatch(/^0100-01-01 /)
  })

  it('marks the first instant after a time that does not come, and no other', () => {
    expect(describeAt('Europe/Berlin', '2026-03-29T00:59:59Z').mark).toBeNull()
    expect(describeAt('Europe/Berlin', '2026-03-29T01:00:00Z').mark).toBe('afterGap')
    expect(describeAt('Europe/Berlin', '2026-03-29T01:00:01Z').mark).toBeNull()
  })

  it('marks both halves of a time that comes twice, and nothing beside them', () => {
    const marks = ['23:59:59', '00:00:00', '01:59:59', '02:00:00'].map((time, index) =>
      describeAt('Europe/Berlin', `2026-10-${index === 0 ? 24 : 25}T${time}Z`),
    )

    expect(marks.map(({ local, mark }) => [local.slice(11), mark])).toEqual([
      ['01:59:59', null],
      ['02:00:00', 'repeatedHour'],
      ['02:59:59', 'repeatedHour'],
      ['03:00:00', null],
    ])
  })

  it('knows zones that change by half an hour, and one that never changes', () => {
    expect(describeAt('Australia/Lord_Howe', '2026-04-04T14:45:00Z').mark).toBe('repeatedHour')
    expect(describeAt('UTC', '2026-10-25T00:30:00Z').mark).toBeNull()
  })

  it('marks both passes through an hour that the clocks are set back by two for', () => {
    // The only zone that changes by two hours.
    const marks = ['00:59:59', '01:00:00', '02:59:59', '03:00:00'].map(
      (time) => describeAt('Antarctica/Troll', `2026-10-25T${time}Z`).mark,
    )
    expect(marks).toEqual(['repeatedHour', 'repeatedHour', 'repeatedHour', null])
    expect(describeAt('Antarctica/Troll', '2026-10-24T23:00:00Z').mark).toBe('repeatedHour')
    expect(describeAt('Antarctica/Troll', '2026-10-24T22:59:59Z').mark).toBeNull()
    expect(describeAt('Antarctica/Troll', '2026-03-29T01:00:00Z').mark).toBe('afterGap')
  })
})
