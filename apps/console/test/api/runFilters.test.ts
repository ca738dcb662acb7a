import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasFilters, parseRunSearch, runQuery } from '../../src/api/runFilters.ts'

describe('parseRunSearch', () => {
  it('keeps what can be filtered by', () => {
    const search = {
      name: 'dispatchEmail',
      outcome: 'cancelled',
      errorCode: 'cancelled',
      trigger: 'queue',
      workId: '01a20e26-367c-766a-a085-72e882269712',
      from: '2026-11-24T00:00:00.000Z',
      to: '2026-11-25T00:00:00.000Z',
      label: 'order 4711',
      worker: 'host:1',
      minDurationMs: '500',
      maxDurationMs: '1000',
      cursor: 'abc',
    }
    expect(parseRunSearch(search)).toEqual(search)
  })

  it('takes a job for its name', () => {
    expect(parseRunSearch({ job: 'mail' })).toEqual({ name: 'mail' })
    expect(parseRunSearch({ job: 'mail', name: 'sync' })).toEqual({ name: 'sync' })
  })

  it('takes a status for the outcome that it is, and for all that have failed', () => {
    expect(parseRunSearch({ status: 'running' })).toEqual({ outcome: 'running' })
    expect(parseRunSearch({ status: 'failed' })).toEqual({ status: 'failed' })
    expect(parseRunSearch({ status: 'failed', outcome: 'lost' })).toEqual({ outcome: 'lost' })
  })

  it('is taken by the server, whatever is typed into an address', () => {
    const value = fc.oneof(fc.string({ unit: 'binary' }), fc.integer().map(String), fc.anything())
    const keys = [
      'name',
      'outcome',
      'status',
      'errorCode',
      'label',
      'worker',
      'minDurationMs',
      'maxDurationMs',
      'from',
      'to',
    ] as const
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...keys), value), (typed) => {
        const {
          minDurationMs = '0',
          maxDurationMs = '999999999999',
          ...texts
        } = parseRunSearch(typed)
        expect(Number(minDurationMs)).toBeLessThanOrEqual(Number(maxDurationMs))
        for (const text of Object.values(texts).filter((one) => one !== undefined)) {
          expect(text).not.toContain('\0')
          expect(text.isWellFormed()).toBe(true)
        }
      }),
    )
  })

  it('drops what cannot', () => {
    expect(
      parseRunSearch({
        name: ' ',
        status: 'done',
        outcome: 'done',
        errorCode: 'a\0b',
        worker: '\ud800',
        minDurationMs: '1e3',
        maxDurationMs: '-1',
        trigger: 7,
        workId: '01a20e26',
        from: 'yesterday',
        to: '2026-13-01',
        cursor: 'x'.repeat(201),
        page: '3',
      }),
    ).toEqual({})
  })

  it('reads an instant with an offset, and a date as a day in UTC', () => {
    expect(parseRunSearch({ from: '2026-11-24T01:30:00+01:00', to: '2026-11-25' })).toEqual({
      from: '2026-11-24T00:30:00.000Z',
      to: '2026-11-25T00:00:00.000Z',
    })
  })

  it('drops a time without a zone, which would mean something else for everybody', () => {
    expect(parseRunSearch({ from: '2026-11-24T01:30' })).toEqual({})
    // The server knows the years 1 to 9999.
    expect(parseRunSearch({ from: '0000-12-31', to: '9999-12-31T23:59-01:00' })).toEqual({})
  })

  it('drops an upper limit below the lower one', () => {
    expect(parseRunSearch({ minDurationMs: '10', maxDurationMs: '9' })).toEqual({
      minDurationMs: '10',
    })
  })

  it('drops an end that is not after the beginning', () => {
    const from = '2026-11-24T00:00:00.000Z'
    expect(parseRunSearch({ from, to: from })).toEqual({ from })
  })
})

describe('runQuery', () => {
  it('is empty without filters', () => {
    expect(runQuery({})).toBe('')
    expect(runQuery({ name: undefined })).toBe('')
  })

  it('escapes, and can be read back', () => {
    const query = runQuery({ name: 'a&b=c', from: '2026-11-24T00:00:00.000Z' }, { limit: '50' })
    expect(Object.fromEntries(new URLSearchParams(query))).toEqual({
      name: 'a&b=c',
      from: '2026-11-24T00:00:00.000Z',
      limit: '50',
    })
  })
})

describe('hasFilters', () => {
  it('does not take the page for one', () => {
    expect(hasFilters(parseRunSearch({ cursor: 'abc' }))).toBe(false)
    expect(hasFilters({ status: 'failed' })).toBe(true)
  })
})
