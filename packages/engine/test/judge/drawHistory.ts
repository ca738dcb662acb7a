import fc from 'fast-check'

const HOUR_MS = 3_600_000

/** How a job runs that has no fault. */
export interface Habits {
  /** Runs an hour, on the average. */
  perHour: number
  /** What half of its runs take, and how far they scatter: 1 makes one in twenty five times as long. */
  medianMs: number
  scatter: number
  /** Which share of runs fails. */
  failing: number
  /** By how much it runs more often, and takes longer, at noon than at night. */
  rhythm: number
  restsAtWeekends: boolean
  /** From which day on it is there. */
  firstDay: number
  /** Every so many hours another version is deployed, which takes no part in anything. */
  deployHours: number
}

export const habits: fc.Arbitrary<Habits> = fc.record({
  perHour: fc.constantFrom(0.05, 0.3, 1, 4, 12, 30, 120),
  medianMs: fc.constantFrom(5, 80, 400, 3_000),
  scatter: fc.constantFrom(0.1, 0.5, 1),
  failing: fc.constantFrom(0, 0, 0.002, 0.01, 0.03, 0.06),
  rhythm: fc.constantFrom(0, 0.5, 0.9),
  restsAtWeekends: fc.boolean(),
  firstDay: fc.constantFrom(0, 0, 3),
  deployHours: fc.constantFrom(7, 50, 400),
})

export interface DrawnRun {
  at: number
  ms: number
  isFailed: boolean
  workerId: string
}

/** A number from 0 to 1, and each the next of a seed's. Not fast-check's, which prefers values at the edges. */
export function createDraw(seed: number): () => number {
  let state = (seed % 2_147_483_646) + 1
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
}

/** Draws the runs of an hour. */
export function drawHour(
  of: Habits,
  draw: () => number,
  hourMs: number,
  startMs: number,
  /** From when on half of its runs fail. */
  faultMs = Infinity,
): DrawnRun[] {
  const day = Math.floor((hourMs - startMs) / (24 * HOUR_MS))
  if (day < of.firstDay || (of.restsAtWeekends && day % 7 > 4)) return []
  const sun = 1 + of.rhythm * Math.sin(((hourMs / HOUR_MS) % 24) * (Math.PI / 12))
  // By a fixed beat where it runs often, by chance where it seldom does.
  const wanted = of.perHour * sun
  const runs = Math.floor(wanted) + (draw() < wanted % 1 ? 1 : 0)
  return Array.from({ length: runs }, (_, nth): DrawnRun => {
    const at = Math.floor(hourMs + ((nth + draw()) / runs) * HOUR_MS)
    const isFaulty = at >= faultMs
    const normal = Math.sqrt(-2 * Math.log(draw())) * Math.cos(2 * Math.PI * draw())
    const ms = of.medianMs * Math.exp(of.scatter * normal) * (1 + of.rhythm / 2 - sun / 2 + 0.5)
    const version = Math.floor((at - startMs) / (of.deployHours * HOUR_MS))
    return {
      at,
      ms: Math.ceil(ms),
      isFailed: draw() < (isFaulty ? 0.5 : of.failing),
      workerId: isFaulty ? 'faulty' : `version ${version}`,
    }
  })
}

/** How a queue works that keeps up. */
export interface QueueHabits {
  /** What half of its runs take, and how far they scatter. */
  medianMs: number
  scatter: number
  /** Runs at once, and which share of their time they need for what comes. */
  lanes: number
  load: number
  /** How many pieces come at once, on the average. */
  atOnce: number
}

export const queueHabits: fc.Arbitrary<QueueHabits> = fc.record({
  medianMs: fc.constantFrom(5_000, 60_000, 600_000),
  scatter: fc.constantFrom(0.1, 0.5, 1),
  lanes: fc.constantFrom(1, 1, 2, 10),
  load: fc.constantFrom(0.1, 0.3, 0.6, 0.8),
  atOnce: fc.constantFrom(1, 1, 3),
})

export interface DrawnPiece {
  /** When it is due, starts and ends. */
  dueAt: number
  startsAt: number
  endsAt: number
}

/** Draws what comes of a queue until an instant, and has its lanes take it in order, until they take nothing any more. */
export function drawQueue(
  of: QueueHabits,
  draw: () => number,
  untilMs: number,
  stopsAtMs = Infinity,
): DrawnPiece[] {
  const meanMs = of.medianMs * Math.exp(of.scatter ** 2 / 2)
  const everyMs = (meanMs * of.atOnce) / (of.lanes * of.load)
  const freeAt = Array<number>(of.lanes).fill(0)
  const pieces: DrawnPiece[] = []
  for (let at = 0; at < untilMs; at -= everyMs * Math.log(draw())) {
    const count = 1 + Math.floor(draw() * (2 * of.atOnce - 1))
    for (let nth = 0; nth < count; nth++) {
      const normal = Math.sqrt(-2 * Math.log(draw())) * Math.cos(2 * Math.PI * draw())
      const lane = freeAt.indexOf(Math.min(...freeAt))
      const startsAt = Math.max(at, freeAt[lane]!)
      const endsAt = startsAt + Math.ceil(of.medianMs * Math.exp(of.scatter * normal))
      const isTaken = startsAt < stopsAtMs
      if (isTaken) freeAt[lane] = endsAt
      pieces.push({ dueAt: at, startsAt: isTaken ? startsAt : Infinity, endsAt })
    }
  }
  return pieces
}
