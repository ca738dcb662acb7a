/** A batch holds locks for as long as it takes; most should stay below 20 ms, so it aims a little lower. */
const TARGET_MS = 18
const FIRST_ROWS = 1_000
const MIN_ROWS = 100
const MAX_ROWS = 50_000
/** One batch is no proof: what it says is believed this far. */
const MAX_FACTOR = 4

/** How many rows the next batch should change, by how long those before took. */
export function createPace() {
  let rows = FIRST_ROWS
  let isWarm = false

  return {
    rows: () => rows,
    took(changed: number, durationMs: number): void {
      // The first batch also waits for plans and cold pages: that it was slow says little of the others.
      const isFirst = !isWarm
      isWarm = true
      if (isFirst && durationMs > TARGET_MS) return
      const isPartial = changed < rows / 2
      // What a small batch takes says nothing of a big one, unless it took too long already.
      if (isPartial && durationMs <= TARGET_MS) return
      const factor = Math.min(MAX_FACTOR, Math.max(1 / MAX_FACTOR, TARGET_MS / durationMs))
      rows = Math.round(Math.min(MAX_ROWS, Math.max(MIN_ROWS, rows * factor)))
    },
  }
}
