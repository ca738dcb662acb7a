import { z } from 'zod'

export const batchMarkSchema = z.object({
  at: z.iso.datetime(),
  batches: z.int().describe('How many there had been by then, this one included'),
  counts: z.record(z.string(), z.number()).describe('What they had counted in all'),
})

/** As the runtime keeps them. */
const keptMark = z.object({ at: z.int(), batches: z.int() }).catchall(z.unknown())

/** When batches of a run were committed, in their order. What cannot be read is left out. */
export function readBatchMarks(kept: unknown): z.output<typeof batchMarkSchema>[] {
  if (!Array.isArray(kept)) return []
  return kept.flatMap((entry) => {
    const mark = keptMark.safeParse(entry).data
    if (mark === undefined) return []
    const { at, batches, ...rest } = mark
    const counts = Object.entries(rest).flatMap(([name, value]) =>
      typeof value === 'number' ? [[name, value] as const] : [],
    )
    return [{ at: new Date(at).toISOString(), batches, counts: Object.fromEntries(counts) }]
  })
}
