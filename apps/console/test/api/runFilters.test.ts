import { describe, expect, it } from 'vitest'
import { hasFilters, parseRunSearch, runQuery } from '../../src/api/runFilters.ts'

describe('parseRunSearch', () => {
  it('keeps what can be filtered by', () => {
    const search = {
      name: 'dispatchEmail',
      status: 'failed',
      trigger: 'queue',
      queueJobId: '01a20e26-367c-766a-a085-72e882269712',
      from: '2026-11-24T00:00:00.000Z',
      to: '2026-11-25T00:00:00.000Z',
      cursor: 'abc',
    }
    expect(parseRunSearch(search)).toEqual(search)
  })

  it('drops what cannot', () => {
    expect(
      parseRunSearch({
        name: ' ',
        status: 'done',
        trigger: 7,
        queueJobId: '01a20e26',
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
