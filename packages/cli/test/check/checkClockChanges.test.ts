import { defineJob, isScheduled, type Job } from '@roundsman/engine'
import { describe, expect, it } from 'vitest'
import { checkClockChanges } from '../../src/check/checkClockChanges.ts'

const NOW = new Date('2026-11-24T12:00:00Z')

function check(cron: string, timeZone = 'Europe/Berlin') {
  const job = defineJob({ name: 'wakeNeighbours', schedule: { cron, timeZone } })
  return checkClockChanges(([job] as Job[]).filter(isScheduled), NOW)
}
const found = (cron: string, timeZone?: string) => check(cron, timeZone).map(({ code }) => code)

describe('a time of day', () => {
  it('that does not exist on some day runs at the end of the gap; one that comes twice, the first time', () => {
    expect(check('30 2 * * *')).toEqual([
      {
        severity: 'warning',
        code: 'tick_in_gap',
        job: 'wakeNeighbours',
        problem:
          '5 times in the next 5 years, first on 2027-03-28, 02:30 in Europe/Berlin does not exist; a time of day is due on each of its days, so it runs once, at the end of the gap, 03:00',
        remedy:
          'nothing, if that is right; else take a time outside of 02:00 to 03:00, or another zone, such as UTC',
      },
      {
        severity: 'warning',
        code: 'tick_in_fold',
        job: 'wakeNeighbours',
        problem:
          '5 times in the next 5 years, first on 2027-10-31, 02:30 in Europe/Berlin comes twice; a time of day is due once on each of its days, so it runs the first time and not the second',
        remedy: expect.any(String),
      },
    ])
  })

  it('is told with all its times, or how many there are', () => {
    expect(check('0,30 2 * * *')[0]?.problem).toContain(
      '02:00, 02:30 in Europe/Berlin do not exist',
    )
    expect(check('0-9 2 * * *')[0]?.problem).toContain('10 times from 02:00 to 02:09')
  })

  it('is touched also where it is one of many that are evenly apart', () => {
    expect(found('30 1,2,3 * * *')).toEqual(['tick_in_gap', 'tick_in_fold'])
  })

  it.each(['30 3 * * *', '59 1 * * *', '0 9-17 * * 1-5', '30 2 * * 1'])(
    '%s is never touched',
    (cron) => {
      expect(found(cron)).toEqual([])
    },
  )

  it('in another zone is touched at other times', () => {
    expect(found('30 2 * * *', 'UTC')).toEqual([])
    expect(found('30 2 * * *', 'Asia/Kolkata')).toEqual([])
    expect(check('15 2 * * *', 'Australia/Lord_Howe')[0]?.problem).toContain('02:30')
    expect(found('45 1 * * *', 'Australia/Lord_Howe')).toEqual(['tick_in_fold'])
    expect(check('0 0 * * *', 'America/Havana')[0]?.problem).toContain('end of the gap, 01:00')
  })
})

describe('an interval', () => {
  it('that goes on evenly is no surprise', () => {
    for (const cron of ['*/15 * * * *', '0 * * * *', '* * * * *', '@hourly']) {
      expect(found(cron)).toEqual([])
    }
  })

  it('that has no tick in the gap says when the next is; in the hour that comes twice, it runs twice', () => {
    const [gap, fold] = check('0 */2 * * *')

    expect(gap).toMatchObject({
      code: 'tick_in_gap',
      problem: expect.stringContaining('no tick then, and the next is at 2027-03-28 04:00'),
      remedy: expect.stringContaining('write minutes and hours as lists'),
    })
    expect(fold).toMatchObject({
      code: 'tick_in_fold',
      problem: expect.stringContaining('so it runs both times'),
    })
  })

  it('within an hour that can be missing has none that day', () => {
    expect(check('*/15 2 * * *').map(({ problem }) => problem)).toEqual([
      expect.stringContaining('02:00, 02:15, 02:30, 02:45 in Europe/Berlin do not exist'),
      expect.stringContaining('come twice'),
    ])
    expect(check('*/15 2 * * *')[0]?.problem).toContain('the next is at 2027-03-29 02:00')
  })
})
