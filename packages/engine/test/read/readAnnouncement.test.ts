import { waitFor } from '@roundsman/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readAnnouncement, watchChanges, type Announcement } from '../../src/read/watchChanges.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime()

const announcements = fc.record({
  ids: fc.array(fc.uuid()),
  names: fc.array(fc.string()),
  ticks: fc.array(fc.string()),
})

it('reads what workers announce', () => {
  fc.assert(
    fc.property(announcements, (announcement) => {
      expect(readAnnouncement(JSON.stringify(announcement))).toEqual(announcement)
    }),
  )
})

it('hands on nothing else, and throws for nothing', () => {
  const wrong = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .tuple(announcements, fc.constantFrom('ids', 'names', 'ticks'), fc.jsonValue())
      .map(([announcement, key, value]) => JSON.stringify({ ...announcement, [key]: value })),
    fc.integer({ min: 1, max: 7_900 }).map((depth) => '['.repeat(depth)),
  )
  fc.assert(
    fc.property(wrong, (payload) => {
      const { ids, names, ticks } = readAnnouncement(payload) ?? { ids: [], names: [], ticks: [] }
      for (const text of [ids, names, ticks].flat()) expect(text).toBeTypeOf('string')
    }),
  )
})

it('goes on listening after notifications that no worker has sent', async () => {
  const warnings: unknown[] = []
  const heard: Announcement[] = []
  const watch = watchChanges({
    schema: 'public',
    databaseUrl: runtime.url,
    log: { warn: (...line: unknown[]) => void warnings.push(line) },
    onChange: (announcement) => void heard.push(announcement),
    onGap: () => undefined,
  })
  try {
    await waitFor(() => watch.isLasting())
    const last = { ids: [], names: ['last'], ticks: [] }
    for (const payload of ['', '{', 'null', '[]', '{"ids":7}', 'é'.repeat(3_000)]) {
      await runtime.database.query(`select pg_notify('roundsman_changes', $1)`, [payload])
    }
    await runtime.database.query(`select pg_notify('roundsman_changes', $1)`, [
      JSON.stringify(last),
    ])
    await waitFor(() => heard.length > 0)
    expect(heard).toEqual([last])
    expect(warnings).toEqual([['foreign notification ignored', { channel: 'roundsman_changes' }]])
  } finally {
    await watch.close()
  }
})
