import { describe, expect, it } from 'vitest'
import { batchSpans } from '../../src/screens/run/batchSpans.ts'

const at = (seconds: number) => new Date(Date.UTC(2026, 10, 24, 3, 0, seconds)).toISOString()

describe('batchSpans', () => {
  it('tells what was counted from one mark to the next, and how long that took', () => {
    const spans = batchSpans({
      startedAt: at(0),
      batchMarks: [
        { at: at(1), batches: 1, counts: { cleaned: 1_000 } },
        { at: at(3), batches: 2, counts: { cleaned: 2_000, rowsKept: 3 } },
        { at: at(9), batches: 1_004, counts: { cleaned: 5_000, rowsKept: 3, constructor: 1 } },
      ],
    })
    expect(spans).toEqual([
      { label: 'Batch 1', at: at(1), counted: '1,000 cleaned', tookMs: 1_000 },
      { label: 'Batch 2', at: at(3), counted: '1,000 cleaned, 3 rows kept', tookMs: 2_000 },
      {
        label: 'Batches 3 to 1,004',
        at: at(9),
        counted: '3,000 cleaned, 1 constructor',
        tookMs: 6_000,
      },
    ])
  })

  it('are none of a run without marks', () => {
    expect(batchSpans({ startedAt: at(0), batchMarks: [] })).toEqual([])
  })
})
