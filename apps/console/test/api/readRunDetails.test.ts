import { describe, expect, it } from 'vitest'
import { inWords, readRunDetails } from '../../src/api/readRunDetails.ts'

describe('readRunDetails', () => {
  it('sorts counts, facts, guard and error', () => {
    expect(
      readRunDetails({
        cleaned: 12,
        batches: 2,
        cutoff: '2026-10-25T00:00:00.000Z',
        isOutdated: true,
        byLocale: { de: 1 },
        guard: { due: 84_120, allowed: 50_000, total: 91_000 },
        error: { code: 'guard_blocked', message: 'too many' },
      }),
    ).toEqual({
      counts: [
        { name: 'cleaned', value: 12 },
        { name: 'batches', value: 2 },
      ],
      facts: [
        { name: 'cutoff', value: '2026-10-25T00:00:00.000Z' },
        { name: 'isOutdated', value: 'true' },
        { name: 'byLocale', value: '{"de":1}' },
      ],
      guard: { due: 84_120, allowed: 50_000, total: 91_000 },
      error: { code: 'guard_blocked', message: 'too many' },
    })
  })

  it.each([[null], [undefined], ['text'], [[1, 2]], [7]])('finds nothing in %j', (details) => {
    expect(readRunDetails(details)).toEqual({ error: null, guard: null, counts: [], facts: [] })
  })

  it('survives an error and a guard of another making', () => {
    const view = readRunDetails({ error: {}, guard: { due: 'many' } })
    expect(view).toMatchObject({ error: { code: 'unknown', message: '' }, guard: null })
  })
})

it.each([
  ['cleaned', 'Cleaned'],
  ['oldestCreatedAt', 'Oldest created at'],
  ['rows_removed', 'Rows removed'],
])('says %s as %s', (name, words) => {
  expect(inWords(name)).toBe(words)
})
