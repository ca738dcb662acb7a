// Not quick: cleans large tables.
import { cleanupI18nCache as job } from '@roundsman/jobs'
import { describe, expect, it } from 'vitest'
import { cleanupI18nCache } from '../../src/jobs/cleanupI18nCache.ts'
import { NOW, openCleanup } from './openCleanup.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Of entries that are kept for thirty days. */
const CUTOFF = new Date(NOW.getTime() - 30 * DAY_MS)

const { run, expectRuns, prisma } = openCleanup(job, cleanupI18nCache({ maxAgeDays: 30 }))

/** Inserts entries, each a millisecond younger than the one before. */
const insertFrom = (from: Date, count: number, locale: string) => prisma().$executeRaw`
  insert into "I18nCacheEntry" ("id", "locale", "key", "value", "createdAt")
  select gen_random_uuid(), ${locale}, number::text, 'text',
         ${from.toISOString()}::timestamptz + number * interval '1 millisecond'
  from generate_series(1, ${count}::int) number`
const insertOld = (count: number) => insertFrom(new Date(CUTOFF.getTime() - HOUR_MS), count, 'en')
const insertYoung = (count: number) => insertFrom(new Date(CUTOFF.getTime() + HOUR_MS), count, 'de')

/** Inserts entries by their age at the cut-off (negative: younger), and returns those that a run leaves. */
async function leftAfterRun(...agesMs: number[]): Promise<string[]> {
  await prisma().i18nCacheEntry.createMany({
    data: agesMs.map((ageMs) => ({
      locale: 'en',
      key: String(ageMs),
      value: 'text',
      createdAt: new Date(CUTOFF.getTime() - ageMs),
    })),
  })
  await run()
  const left = await prisma().i18nCacheEntry.findMany({ orderBy: { createdAt: 'asc' } })
  return left.map(({ key }) => key)
}

it('removes what is older than the cut-off, and says where that was', async () => {
  expect(await leftAfterRun(1, DAY_MS, 365 * DAY_MS)).toEqual([])
  await expectRuns({ details: { cleaned: 3, batches: 1, cutoff: CUTOFF.toISOString() } })
})

it('leaves alone what was created exactly at the cut-off, and after', async () => {
  expect(await leftAfterRun(1, 0, -1, -30 * DAY_MS)).toEqual(['0', '-1', String(-30 * DAY_MS)])
  await expectRuns({ details: { cleaned: 1, batches: 1, cutoff: CUTOFF.toISOString() } })
})

it.each([0, -1, Number.NaN])('refuses to keep entries for %d days', async (maxAgeDays) => {
  await insertOld(3)

  await run({ handler: cleanupI18nCache({ maxAgeDays }) })

  expect(await prisma().i18nCacheEntry.count()).toBe(3)
  await expectRuns({
    status: 'failed',
    details: { error: { code: 'cutoff_invalid', message: expect.any(String) } },
  })
})

it('keeps entries for as many days as it is told', async () => {
  const ages = [0.5, 1.5, 6.5, 7.5].map((days) => new Date(NOW.getTime() - days * DAY_MS))
  await prisma().i18nCacheEntry.createMany({
    data: ages.map((createdAt, index) => ({ locale: 'en', key: `${index}`, value: '', createdAt })),
  })

  await run({ handler: cleanupI18nCache({ maxAgeDays: 7 }) })
  expect(await prisma().i18nCacheEntry.count()).toBe(3)
  await run({ handler: cleanupI18nCache({ maxAgeDays: 1 }) })
  expect(await prisma().i18nCacheEntry.count()).toBe(1)
})

describe('its guard', () => {
  const { maxShare = 0, minRows = 0 } = job.guard ?? {}
  const expectCleaned = async (due: number, total: number) => {
    await run({ job })

    expect(await prisma().i18nCacheEntry.count({ where: { locale: 'en' } })).toBe(0)
    const guard = { due, total, allowed: Math.floor(total * maxShare) }
    const cutoff = CUTOFF.toISOString()
    const details = { cleaned: due, batches: expect.any(Number), cutoff, guard }
    await expectRuns({ status: 'success', details })
  }

  it('lets it take from a big table what is not more than its share', async () => {
    await insertOld(minRows + 1)
    await insertYoung(50_000)
    await prisma().$executeRaw`analyze "I18nCacheEntry"`

    await expectCleaned(minRows + 1, minRows + 50_001)
  })

  it('lets it take that from one that has grown since somebody looked how large it is', async () => {
    await insertOld(minRows + 1)
    await insertYoung(minRows)
    await prisma().$executeRaw`
      update pg_class set reltuples = 1, relpages = 100000 where oid = '"I18nCacheEntry"'::regclass`

    await expectCleaned(minRows + 1, 2 * minRows + 1)
  })
})
