// Not quick: cleans large tables.
import { describe, expect, it } from 'vitest'
import { cleanupI18nCache } from '../../src/jobs/cleanupI18nCache.ts'
import { CUTOFF, i18nCache, insertEntriesFrom } from './cleanups.ts'
import { describeCleanup, NOW } from './describeCleanup.ts'

const DAY_MS = 86_400_000

describe('cleanupI18nCache', () => {
  const { run, expectRuns, prisma } = describeCleanup(i18nCache)

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
    await insertEntriesFrom(prisma(), NOW, 3)

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
      data: ages.map((createdAt, index) => ({
        locale: 'en',
        key: `${index}`,
        value: '',
        createdAt,
      })),
    })

    await run({ handler: cleanupI18nCache({ maxAgeDays: 7 }) })
    expect(await prisma().i18nCacheEntry.count()).toBe(3)
    await run({ handler: cleanupI18nCache({ maxAgeDays: 1 }) })
    expect(await prisma().i18nCacheEntry.count()).toBe(1)
  })
})
