import { expect, it } from 'vitest'
import { minorUnitDigits } from '../src/index.ts'

it.each([
  ['EUR', 2],
  ['JPY', 0],
  ['KWD', 3],
  ['HUF', 2],
])('%s has %i', (currency, digits) => {
  expect(minorUnitDigits(currency)).toBe(digits)
})

it.each(['XYZ', 'eur', '', 'EURO'])('"%s" is no currency', (currency) => {
  expect(minorUnitDigits(currency)).toBeNull()
})
