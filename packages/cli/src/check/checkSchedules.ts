import { nextTicks } from '@roundsman/engine/internal'
import type { ScheduledJob } from '@roundsman/engine'
import { describeDuration } from '../command/describeDuration.ts'
import type { Product } from '../command/product.ts'
import type { Finding } from './finding.ts'

const DAY_MS = 86_400_000
/** The period in which distances between ticks are measured. A frequent schedule reaches MAX_TICKS long before. */
const HORIZON_MS = 3 * 366 * DAY_MS
const MAX_TICKS = 500
const COLLISION_HORIZON_MS = 31 * DAY_MS
const MAX_COLLIDING_TICKS = 5_000
/** Due every minute, or every second. */
const EACH_MINUTE = /^[*\s]+$/

const WHILE_RUNNING = {
  skip: 'ticks that meet a run are skipped (overlap: skip)',
  queue: 'work piles up where runs do take that long (overlap: queue)',
  allow: 'runs go side by side (overlap: allow)',
} as const

/** Finds schedules that contradict their own policies, or collide. */
export function checkSchedules(
  jobs: readonly ScheduledJob[],
  now: Date,
  cronVariable: Product['cronVariable'],
): Finding[] {
  const where = (name: string) => cronVariable?.(name) ?? 'its cron'
  return [
    ...jobs.flatMap((job) => checkDistances(job, now, where)),
    ...checkCollisions(jobs, now, where),
  ]
}

function checkDistances(job: ScheduledJob, now: Date, where: (name: string) => string): Finding[] {
  const { name, schedule, timeoutMs, retry } = job
  const distances = distancesOf(job, now)
  if (distances.length === 0) return []
  const shortest = Math.min(...distances)
  const longest = Math.max(...distances)
  const every = `its ticks are as little as ${describeDuration(shortest)} apart`
  const findings: Finding[] = []
  if (shortest < timeoutMs) {
    findings.push({
      severity: 'warning',
      code: 'timeout_longer_than_schedule',
      job: name,
      problem: `${every}, and a run may take ${describeDuration(timeoutMs)}: ${WHILE_RUNNING[schedule.overlap]}`,
      remedy: `lower timeoutMs to ${describeDuration(shortest)} or less, or set a wider schedule (${where(name)})`,
    })
  }
  const retryMs = retrySpanMs(retry)
  if (schedule.overlap === 'skip' && retryMs > shortest) {
    findings.push({
      severity: 'warning',
      code: 'retries_longer_than_schedule',
      job: name,
      problem: `${every}, and its retries may take ${describeDuration(retryMs)}: until they are over, ticks are skipped (overlap: skip)`,
      remedy: `lower retry.limit or retry.maxDelayMs: the next tick is a retry as well`,
    })
  }
  if (schedule.missed !== 'skip' && schedule.catchUpMs < longest) {
    findings.push({
      severity: 'note',
      code: 'catch_up_shorter_than_schedule',
      job: name,
      problem: `its ticks are up to ${describeDuration(longest)} apart, and one that was missed longer than ${describeDuration(schedule.catchUpMs)} ago is not run`,
      remedy: `raise catchUpMs to ${describeDuration(longest)}, if the job should run once after any outage`,
    })
  }
  return findings
}

function distancesOf({ schedule }: ScheduledJob, now: Date): number[] {
  const ticks: number[] = []
  for (const tick of nextTicks(schedule, now).take(MAX_TICKS)) {
    ticks.push(tick.getTime())
    if (tick.getTime() > now.getTime() + HORIZON_MS) break
  }
  return ticks.slice(1).map((at, nth) => at - (ticks[nth] ?? at))
}

/** The total time of a job's retries, without jitter. */
function retrySpanMs({ limit, delayMs, maxDelayMs }: ScheduledJob['retry']): number {
  let span = 0
  for (let nth = 0; nth < limit; nth++) span += Math.min(delayMs * 2 ** nth, maxDelayMs)
  return span
}

function checkCollisions(
  jobs: readonly ScheduledJob[],
  now: Date,
  where: (name: string) => string,
): Finding[] {
  const end = now.getTime() + COLLISION_HORIZON_MS
  // A schedule that is due every minute collides with all others at any minute.
  const movable = jobs.filter(({ schedule }) => !EACH_MINUTE.test(schedule.cron))
  const ticks = movable.flatMap(({ name, schedule }) => {
    const own: { job: string; at: Date }[] = []
    for (const at of nextTicks(schedule, now).take(MAX_COLLIDING_TICKS)) {
      if (at.getTime() > end) break
      own.push({ job: name, at })
    }
    return own
  })
  return findCollisions(ticks).map(({ jobs: [job = '', ...others], count, first }) => ({
    severity: 'note',
    code: 'schedules_collide',
    job,
    problem: `it is due at the same instant as ${others.join(' and ')}, ${count} times in the next 31 days, first at ${first.toISOString()}`,
    remedy: `nothing, unless together they are too much for the database; then move one by some minutes (${where(job)})`,
  }))
}

/** The jobs that are due at the same instants, the most frequent first. */
function findCollisions(ticks: readonly { job: string; at: Date }[]) {
  const jobsAt = new Map<number, Set<string>>()
  for (const { job, at } of ticks) {
    const jobs = jobsAt.get(at.getTime()) ?? new Set()
    jobsAt.set(at.getTime(), jobs.add(job))
  }
  const collisions = new Map<string, { jobs: string[]; count: number; first: Date }>()
  for (const [at, due] of [...jobsAt].toSorted(([a], [b]) => a - b)) {
    if (due.size === 1) continue
    const jobs = [...due].toSorted((a, b) => a.localeCompare(b))
    const found = collisions.get(jobs.join(' '))
    if (found) found.count += 1
    else collisions.set(jobs.join(' '), { jobs, count: 1, first: new Date(at) })
  }
  return [...collisions.values()].toSorted((a, b) => b.count - a.count)
}
