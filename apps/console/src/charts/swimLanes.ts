import type { ConsoleWorkerRun } from '@roundsman/fastify/contract'

/** A run on its lane: as many lanes as there were runs at once. */
export interface LaneRun {
  run: ConsoleWorkerRun
  fromMs: number
  toMs: number
  lane: number
}

export interface JobLanes {
  name: string
  runs: LaneRun[]
  /** As many as were under way at once. */
  lanes: number
}

/** Each job's runs, given the oldest first, on as few lanes as there were at once; the job with the most lanes first. */
export function swimLanes(runs: readonly ConsoleWorkerRun[], nowMs: number): JobLanes[] {
  return [...Map.groupBy(runs, ({ name }) => name)]
    .map(([name, its]) => {
      const freeAt: number[] = []
      const placed = its.map((run): LaneRun => {
        const [fromMs, toMs] = spanOf(run, nowMs)
        const free = freeAt.findIndex((at) => at <= fromMs)
        const lane = free === -1 ? freeAt.length : free
        freeAt[lane] = toMs
        return { run, fromMs, toMs, lane }
      })
      return { name, runs: placed, lanes: freeAt.length }
    })
    .toSorted((one, other) => other.lanes - one.lanes || one.name.localeCompare(other.name))
}

/** How many runs were under way at once, at most. One that ends as another begins is not. */
export function mostAtOnce(runs: readonly ConsoleWorkerRun[], nowMs: number): number {
  const changes = runs.flatMap((run) => {
    const [from, to] = spanOf(run, nowMs)
    return [
      { at: from, by: 1 },
      // One that took no time was under way all the same.
      { at: Math.max(to, from + 0.5), by: -1 },
    ]
  })
  let [now, most] = [0, 0]
  for (const { by } of changes.toSorted((one, other) => one.at - other.at || one.by - other.by)) {
    now += by
    most = Math.max(most, now)
  }
  return most
}

function spanOf({ startedAt, endedAt }: ConsoleWorkerRun, nowMs: number): [number, number] {
  const from = Date.parse(startedAt)
  return [from, Math.max(from, endedAt === null ? nowMs : Date.parse(endedAt))]
}
