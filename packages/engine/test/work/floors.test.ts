import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BROKEN_RULES, playHistory } from './playHistory.ts'

/** The more, the surer: 20,000 take half a minute. */
const HISTORIES = Number(process.env['FLOOR_HISTORIES'] ?? 400)

const histories = fc.array(fc.noBias(fc.nat()), { minLength: 100, maxLength: 300, size: 'max' })

test('strands no work, whatever commits late, rolls back, is tried again or changes its priority', () => {
  let all = 0
  fc.assert(
    fc.property(histories, (choices) => {
      const { begun, ...wrong } = playHistory(choices)
      all += begun
      expect(wrong).toEqual({ stranded: [], passedOver: [], doubled: [] })
    }),
    { numRuns: HISTORIES },
  )
  expect(all).toBeGreaterThan(10 * HISTORIES)
})

/** Each finds its broken rule soon. */
const SEEDS: Record<(typeof BROKEN_RULES)[number], number> = {
  placeBeforeTransaction: 4,
  keepsPlace: 51,
  markByClaim: 15,
  hintOfAnswer: 18,
  passesWhatIsLocked: 1,
  xminAfterFirst: 3,
  floorAtHint: 1,
  knownRanksOnly: 1,
  ignoresWriters: 12,
  locksOfSameLook: 5,
}

test.each(BROKEN_RULES)('finds work stranded by a rule that is broken: %s', (broken) => {
  const isRight = fc.property(histories, (choices) => {
    const { stranded, passedOver } = playHistory(choices, broken)
    return stranded.length + passedOver.length === 0
  })
  const { failed } = fc.check(isRight, { seed: SEEDS[broken], numRuns: 5_000, endOnFailure: true })
  expect(failed).toBe(true)
})
