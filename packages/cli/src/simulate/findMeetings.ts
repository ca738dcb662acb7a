import type { SimulatedRun } from './simulateJob.ts'

/** Jobs that meet, how often, and when first. */
export interface Meeting {
  jobs: string[]
  count: number
  first: Date
}

/** Schedules that are due at the same instant, the most frequent first. */
export function findCollisions(ticks: readonly { job: string; at: Date }[]): Meeting[] {
  const jobsAt = new Map<number, Set<string>>()
  for (const { job, at } of ticks) {
    const jobs = jobsAt.get(at.getTime()) ?? new Set()
    jobsAt.set(at.getTime(), jobs.add(job))
  }
  const meetings = new Map<string, Meeting>()
  for (const [at, jobs] of [...jobsAt].toSorted(([a], [b]) => a - b)) {
    if (jobs.size > 1) count(meetings, [...jobs], new Date(at))
  }
  return mostOftenFirst(meetings)
}

/** Pairs of jobs whose runs are under way at the same time. A run that starts when another ends does not meet it. */
export function findOverlaps(
  runs: readonly (Pick<SimulatedRun, 'startsAt' | 'endsAt'> & { job: string })[],
): Meeting[] {
  const meetings = new Map<string, Meeting>()
  let open: (typeof runs)[number][] = []
  for (const run of runs.toSorted((a, b) => a.startsAt.getTime() - b.startsAt.getTime())) {
    open = open.filter(({ endsAt }) => endsAt > run.startsAt)
    for (const other of open) {
      // A run that takes no time is never under way.
      if (run.endsAt > run.startsAt) count(meetings, [other.job, run.job], run.startsAt)
    }
    open.push(run)
  }
  return mostOftenFirst(meetings)
}

function count(meetings: Map<string, Meeting>, jobs: readonly string[], first: Date): void {
  const sorted = jobs.toSorted((a, b) => a.localeCompare(b))
  const key = sorted.join(' ')
  const meeting = meetings.get(key)
  if (meeting) meeting.count += 1
  else meetings.set(key, { jobs: sorted, count: 1, first })
}

function mostOftenFirst(meetings: ReadonlyMap<string, Meeting>): Meeting[] {
  return [...meetings.values()].toSorted((a, b) => b.count - a.count)
}
