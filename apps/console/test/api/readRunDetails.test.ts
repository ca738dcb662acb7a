import { describe, expect, it } from 'vitest'
import { describeCounts, inWords, placeOf, readRunDetails } from '../../src/api/readRunDetails.ts'

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
      stillDue: null,
      error: {
        code: 'guard_blocked',
        name: null,
        message: 'too many',
        meaning: null,
        frames: [],
        causes: [],
      },
    })
  })

  it.each([
    [{ cleaned: 0, batches: 0 }, 'nothing to do'],
    [{ cleaned: 0, batches: 0, stillDue: 111 }, '111 still due'],
    [{ cleaned: 0, batches: 0, stillDue: 'over 10,000' }, 'over 10,000 still due'],
    [{ cleaned: 4_000, expired: 0, batches: 3, stillDue: 2 }, '4,000 cleaned, 2 still due'],
    [{ cleaned: 4_000, batches: 3 }, '4,000 cleaned'],
    [{ cutoff: '2026-10-25T00:00:00.000Z' }, null],
    [null, null],
  ])('says in a line what a run with %j did', (details, text) => {
    expect(describeCounts(readRunDetails(details))).toBe(text)
  })

  it('reads where an error was thrown, and what led to it', () => {
    const stack = 'at readFeed (src/importFeed.ts:10:17)\nat importFeed (src/importFeed.ts:3:9)'
    const cause = {
      message: 'fetch failed',
      cause: { code: 'ECONNREFUSED', message: 'refused', errors: [{ message: '::1' }, 7] },
    }
    expect(
      readRunDetails({
        error: { code: 'handler_failed', name: 'TypeError', message: 'no feed', stack, cause },
      }).error,
    ).toEqual({
      code: 'handler_failed',
      name: 'TypeError',
      message: 'no feed',
      meaning: null,
      frames: ['at readFeed (src/importFeed.ts:10:17)', 'at importFeed (src/importFeed.ts:3:9)'],
      causes: [
        { code: null, message: 'fetch failed' },
        { code: 'ECONNREFUSED', message: 'refused' },
        { code: null, message: '::1' },
      ],
    })
  })

  it('ends with a chain of causes, however long it is', () => {
    const error: Record<string, unknown> = { code: 'round', message: 'and round' }
    error['cause'] = error
    expect(readRunDetails({ error }).error?.causes).toHaveLength(10)
  })

  it.each([[null], [undefined], ['text'], [[1, 2]], [7]])('finds nothing in %j', (details) => {
    expect(readRunDetails(details)).toEqual({
      error: null,
      guard: null,
      stillDue: null,
      counts: [],
      facts: [],
    })
  })

  it('survives an error and a guard of another making', () => {
    const view = readRunDetails({ error: {}, guard: { due: 'many' } })
    expect(view).toMatchObject({ error: { code: 'unknown', message: null }, guard: null })
  })
})

it.each([
  ['at readFeed (src/importFeed.ts:10:17)', 'importFeed.ts:10'],
  ['at src/importFeed.ts:10:17', 'importFeed.ts:10'],
  ['at async …/dist/jobs/importFeed.js:7:1', 'importFeed.js:7'],
  ['at somewhere', 'at somewhere'],
])('says where %s is: %s', (frame, place) => {
  expect(placeOf(frame)).toBe(place)
})

it.each([
  ['cleaned', 'Cleaned'],
  ['oldestCreatedAt', 'Oldest created at'],
  ['rows_removed', 'Rows removed'],
])('says %s as %s', (name, words) => {
  expect(inWords(name)).toBe(words)
})
