import { expect, it } from 'vitest'
import { tickKind } from '../../src/charts/tickKind.ts'

const RUN = { id: 'a', startedAt: '2026-11-24T03:00:00Z', endedAt: null }

it('shows an enqueued tick as what became of its work', () => {
  expect(
    tickKind({ outcome: 'enqueued', run: { ...RUN, status: 'failed', outcome: 'failed' } }),
  ).toBe('failed')
  expect(tickKind({ outcome: 'enqueued', run: null })).toBe('waiting')
})

it.each(['coalesced', 'missed', 'skipped'] as const)('shows a %s tick as what it is', (outcome) => {
  expect(tickKind({ outcome, run: null })).toBe(outcome)
})
