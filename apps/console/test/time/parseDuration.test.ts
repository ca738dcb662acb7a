import fc from 'fast-check'
import { expect, it } from 'vitest'
import { formatDuration, parseDuration } from '../../src/time/formatDuration.ts'

it.each([
  ['90', 90_000],
  [' 90 s ', 90_000],
  ['0.25', 250],
  ['250ms', 250],
  ['1.5 min', 90_000],
  ['2 h 30 min', 9_000_000],
  ['1 d', 86_400_000],
])('reads %j as %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

it.each(['', ' ', 'soon', '-1', '1 year', '1 2', '1 h 2', '1e3', '1,5 h', 's'])(
  'does not take %j for one',
  (text) => {
    expect(parseDuration(text)).toBeNull()
  },
)

it('reads what is shown, and takes no text for anything else than whole milliseconds', () => {
  fc.assert(
    fc.property(fc.nat({ max: 10 ** 12 }), (ms) => {
      const shown = formatDuration(ms)
      expect(formatDuration(parseDuration(shown) ?? -1)).toBe(shown)
    }),
  )
  fc.assert(
    fc.property(fc.string(), (text) => {
      const ms = parseDuration(text)
      expect(ms === null || (Number.isSafeInteger(ms) && ms >= 0)).toBe(true)
    }),
  )
})
