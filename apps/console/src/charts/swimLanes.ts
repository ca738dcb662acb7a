import type { ConsoleWorkerRun } from '@roundsman/admin/contract'

/** A run with its place on a lane. */
export interface LaneRun {
  run: ConsoleWorkerRun
  fromMs: number
  toMs: number
  lane: number
}

export interface JobLanes {
  name: string
  runs: LaneRun[]
  /** The number of lanes: as many as there were runs at once. */
  lanes: number
}

/**
 * Puts each job's runs, oldest first, on as few lanes as there were runs at once. The job with the most lanes comes
 * first.
 */
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

/** How many runs were under way at once, at most. A run that ends as another begins does not count with it. */
export function mostAtOnce(runs: readonly ConsoleWorkerRun[], nowMs: number): number {
  const changes = runs.flatMap((run) => {
    const [from, to] = spanOf(run, nowMs)
    return [
      { at: from, by: 1 },
      // A run that took no time was under way all the same.
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
