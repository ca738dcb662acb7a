import { expect, it } from 'vitest'
import type { SnapshotHolder } from '../../src/client.ts'
import { watchOldestSnapshot } from '../../src/metrics.ts'
import { openTarget } from './openTarget.ts'

async function scrape(read: () => Promise<SnapshotHolder | null>): Promise<string[]> {
  const metrics = openTarget()
  watchOldestSnapshot({ ...metrics.target, read, timeoutMs: 50 })
  return (await metrics.render()).split('\n').filter((line) => line.startsWith('roundsman_oldest'))
}

const SLOT = { kind: 'slot', id: 'standby', who: '', state: 'active', since: null } as const

it('says how much went on since the oldest snapshot, and for how long it was held where that is known', async () => {
  expect(await scrape(async () => ({ ...SLOT, transactions: 7 }))).toEqual([
    'roundsman_oldest_snapshot_transactions{kind="slot"} 7',
  ])
  const since = new Date(Date.now() - 60_000).toISOString()
  const lines = await scrape(async () => ({ ...SLOT, kind: 'session', since, transactions: 7 }))
  expect(lines).toHaveLength(2)
  expect(lines[1]).toMatch(/^roundsman_oldest_snapshot_age_seconds\{kind="session"\} [6-9]\d/)
})

it('says nothing where nobody holds one, or while the database fails or hangs', async () => {
  expect(await scrape(async () => null)).toEqual([])
  expect(await scrape(() => Promise.reject(new Error('away')))).toEqual([])
  expect(await scrape(() => new Promise(() => undefined))).toEqual([])
})
