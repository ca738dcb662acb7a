import { openForTests } from '@roundsman/testing'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { upsertSchedules } from '../../src/control/upsertSchedules.ts'
import { createLoadLimit, ticksOfDay } from '../../src/tick/scheduleLoad.ts'
import { defineJob } from '../../src/index.ts'
import { nextTicks } from '../../src/internal.ts'
import { containedLog } from '../../src/database/containedLog.ts'
import { openTestJobs } from '../../src/testing.ts'
import { useOwnDatabase } from '../useOwnDatabase.ts'
import { usePlainClient } from '../usePlainClient.ts'

const report = defineJob({ name: 'report' })
const jobs = [report] as const
const by = { actor: 'ada@example.com' }
const { database, client } = usePlainClient()
const test = openForTests(() =>
  openTestJobs({
    databaseUrl: database.url,
    client,
    jobs,
    handlers: { report: async () => undefined },
  }),
)
const own = useOwnDatabase(database, test)

let nowMs = 0
/** A program with limits that a test can reach. */
const openProgram = (max: { entries: number; perDay: number }) => {
  const caller = {
    log: containedLog({}),
    onWork: () => undefined,
    limit: createLoadLimit(max, () => nowMs),
  }
  return async (...schedules: { key: string; cron: string }[]) =>
    await upsertSchedules(own, report, schedules, caller)
}
const keys = async () => (await test.schedules.list({ limit: 100 })).schedules.map(({ key }) => key)
const daily = (key: string) => ({ key, cron: '0 9 * * *' })

beforeEach(async () => {
  nowMs = 0
  await test.reset()
})

describe('so many schedules', () => {
  it('are taken and no more, and nothing is left of those that are refused', async () => {
    const upsert = openProgram({ entries: 3, perDay: 1_000 })
    await upsert(daily('a'), daily('b'))
    await expect(upsert(daily('c'), daily('d'))).rejects.toMatchObject({
      code: 'too_many_schedules',
      message:
        'There would be 4 keyed schedules in this database, and 3 is the most: delete those that nobody needs',
      details: { entries: 4 },
      retryable: false,
    })
    await upsert(daily('a'), daily('c'))
    expect(await keys()).toEqual(['a', 'b', 'c'])
    // One that is there may change.
    expect(await upsert({ key: 'c', cron: '0 10 * * *' })).toMatchObject([{ kind: 'changed' }])
  })

  it('are counted anew after a minute, also what other programs have made and deleted', async () => {
    const limit = { entries: 2, perDay: 1_000 }
    const [one, other] = [openProgram(limit), openProgram(limit)]
    await one(daily('a'))
    await other(daily('b'))
    // What the other has made meanwhile goes beyond the limit.
    await one(daily('c'))
    nowMs = 60_000
    await expect(one(daily('d'))).rejects.toMatchObject({ details: { entries: 4 } })
    for (const key of ['a', 'b']) await test.schedules.delete(null, report, key, by)
    await expect(one(daily('d'))).rejects.toMatchObject({ code: 'too_many_schedules' })
    nowMs = 120_000
    await one(daily('d'))
    expect(await keys()).toEqual(['c', 'd'])
  })
})

describe('so many ticks a day', () => {
  it('are taken and no more, and a schedule may be due less often', async () => {
    const upsert = openProgram({ entries: 100, perDay: 50 })
    await upsert({ key: 'a', cron: '0 * * * *' }, { key: 'b', cron: '0 * * * *' })
    await expect(upsert({ key: 'c', cron: '0 */8 * * *' })).rejects.toMatchObject({
      code: 'too_many_schedules',
      details: { ticksPerDay: 51 },
    })
    await expect(upsert({ key: 'a', cron: '*/30 * * * *' })).rejects.toMatchObject({
      details: { ticksPerDay: 72 },
    })
    await upsert({ key: 'b', cron: '0 */12 * * *' })
    await upsert({ key: 'a', cron: '*/30 * * * *' })
    nowMs = 60_000
    await expect(upsert(daily('c'))).rejects.toMatchObject({ details: { ticksPerDay: 51 } })
    expect(await keys()).toEqual(['a', 'b'])
  })

  it('leave out a schedule that is due no more', async () => {
    const upsert = openProgram({ entries: 100, perDay: 24 })
    const endsAt = new Date('2020-01-01T00:00:00Z')
    await test.schedules.upsert(null, report, { key: 'a', cron: '0 * * * *', endsAt })
    expect(await upsert({ key: 'b', cron: '0 * * * *' })).toMatchObject([{ kind: 'created' }])
  })

  it('are those of the calendar', () => {
    const drawField = (size: number) => {
      const value = fc.integer({ min: 0, max: size - 1 })
      const range = fc
        .tuple(value, value)
        .map((ends) => ends.toSorted((one, other) => one - other).join('-'))
      const step = fc.integer({ min: 1, max: size - 1 })
      const stepped = fc
        .tuple(fc.oneof(range, fc.constant('*')), step)
        .map((parts) => parts.join('/'))
      const part = fc.oneof(value.map(String), range, fc.constantFrom('*', '?'), stepped)
      return fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(','))
    }
    const rare = fc.integer({ min: 0, max: 59 }).map(String)
    const drawCron = fc.oneof(
      fc.tuple(drawField(60), drawField(24)).map((parts) => `${parts.join(' ')} * * *`),
      fc.tuple(drawField(60), rare, drawField(24)).map((parts) => `${parts.join(' ')} * * MON-FRI`),
      fc.constantFrom('@hourly', '@daily', '@WEEKLY', '0 9 1 1 *', ' 0  9 * * * '),
    )
    fc.assert(
      fc.property(drawCron, (cron) => {
        let first: number | undefined
        let count = 0
        // From a Monday, the first of the year's first month, on.
        for (const tick of nextTicks({ cron, timeZone: 'UTC' }, new Date('2029-12-31T23:59:59Z'))) {
          first ??= Math.floor(tick.getTime() / 86_400_000)
          if (tick.getTime() >= (first + 1) * 86_400_000) break
          count++
        }
        expect(ticksOfDay(cron), cron).toBe(count)
      }),
      { numRuns: 100 },
    )
  })
})
