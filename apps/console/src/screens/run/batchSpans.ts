import type { RunDetail } from '@roundsman/admin/contract'
import { inWords } from '../../api/readRunDetails.ts'

/** A batch, or several in a row of which only the last one's instant is known. */
export interface BatchSpan {
  label: string
  /** When the last of them was committed. */
  at: string
  /** What they counted: `2,000 cleaned`. */
  counted: string
  tookMs: number
}

/** Turns the marks of a run, which hold totals, into what was counted from one mark to the next. */
export function batchSpans({
  startedAt,
  batchMarks,
}: Pick<RunDetail, 'startedAt' | 'batchMarks'>): BatchSpan[] {
  let before = { at: startedAt, batches: 0, counts: {} as Record<string, number> }
  return batchMarks.map((mark) => {
    const { at, batches } = before
    // A count may have any name, also one that all objects have.
    const counts = new Map(Object.entries(before.counts))
    before = mark
    return {
      label:
        mark.batches === batches + 1
          ? `Batch ${count(mark.batches)}`
          : `Batches ${count(batches + 1)} to ${count(mark.batches)}`,
      at: mark.at,
      counted: Object.entries(mark.counts)
        .map(([name, value]) => ({ name, added: value - (counts.get(name) ?? 0) }))
        .filter(({ added }) => added !== 0)
        .map(({ name, added }) => `${count(added)} ${inWords(name).toLowerCase()}`)
        .join(', '),
      tookMs: Date.parse(mark.at) - Date.parse(at),
    }
  })
}

function count(value: number): string {
  return value.toLocaleString('en')
}
