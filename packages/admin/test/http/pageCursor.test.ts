import { expect, it } from 'vitest'
import { formatCursor, instantCursor, pageCursor } from '../../src/http/pageCursor.ts'

const encode = (text: string) => Buffer.from(text).toString('base64url')
const id = '01a20e26-367c-766a-a085-72e882269712'
const good = encode(`2026-11-24T12:00:00.000Z/${id}`)

it('is read back', () => {
  const cursor = { at: '2026-11-24T12:00:00.000Z', id }
  expect(pageCursor.parse(good)).toEqual(cursor)
  expect(formatCursor(cursor)).toBe(good)
})

it('keeps the microseconds that PostgreSQL writes', () => {
  for (const at of ['2026-11-24 12:00:00.123456+00', '2026-11-24 12:00:00+00']) {
    expect(pageCursor.parse(formatCursor({ at, id }))).toEqual({ at, id })
  }
})

it('is an instant alone where instants are unique', () => {
  const at = '2026-11-24T12:00:00.000Z'
  expect(instantCursor.parse(encode(at))).toBe(at)
  expect(formatCursor({ at })).toBe(encode(at))
  expect(instantCursor.safeParse(good).data).toBeUndefined()
})

const malformed: Record<string, string> = {
  nothing: '',
  'another word': 'abc',
  'half of one': good.slice(0, 40),
  'one with more behind': `${good}AA`,
  'one with padding': `${good}=`,
  'a month 13': encode(`2026-13-24T12:00:00.000Z/${id}`),
  'a day 30 February': encode(`2026-02-30T12:00:00.000Z/${id}`),
  'a year 0': encode(`0000-11-24T12:00:00.000Z/${id}`),
  'an instant alone': encode('2026-11-24T12:00:00.000Z'),
  'an instant without an id': encode('2026-11-24T12:00:00.000Z/'),
  SQL: encode(`2026-11-24T12:00:00.000Z/' or true --`),
}
for (const [name, text] of Object.entries(malformed)) {
  it(`is not ${name}`, () => {
    expect(pageCursor.safeParse(text)).toMatchObject({ success: false })
  })
}
