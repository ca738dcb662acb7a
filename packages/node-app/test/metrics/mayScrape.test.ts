import { expect, it } from 'vitest'
import { mayScrape } from '../../src/telemetry.ts'

it.each([
  ['Bearer sesame', true],
  ['bearer sesame', true],
  ['Bearer sesame ', false],
  ['Bearer sesam', false],
  ['Bearer ', false],
  ['Basic sesame', false],
  ['sesame', false],
  [undefined, false],
])('%j may: %j', (authorization, answer) => {
  expect(mayScrape(authorization, 'sesame')).toBe(answer)
})
