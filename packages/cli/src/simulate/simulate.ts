import {
  createLocalTime,
  type LocalTime,
  type MissedPolicy,
  type OverlapPolicy,
} from '@roundsman/engine/internal'
import type { ScheduledJob } from '@roundsman/engine'
import { comparePolicies, countOutcomes } from './comparePolicies.ts'
import type { OutcomeCounts, PolicyResult } from './comparePolicies.ts'
import { findCollisions, findOverlaps, type Meeting } from './findMeetings.ts'
import type { MeasuredDuration } from './readDurations.ts'
import { simulateJob, type SimulatedTick, type Simulation, type TimeRange } from './simulateJob.ts'

/** What --json prints. */
export interface SimulationResult extends TimeRange {
  outage: TimeRange | null
  jobs: SimulatedJob[]
  /** In the order of time, at most `limit`. */
  ticks: ListedTick[]
  /** How many rows the limit left out of `ticks`. */
  left: number
  /** Where the simulation stopped, when the range was too long. Null when it did not. */
  cutAt: Date | null
  collisions: Meeting[]
  overlaps: Meeting[]
}

export interface SimulatedJob {
  name: string
  cron: string
  timeZone: string
  missedPolicy: MissedPolicy
  overlapPolicy: OverlapPolicy
  catchUpMs: number
  durationMs: number
  /** On how many runs the duration was measured. Null: the job's time-out was taken instead. */
  measuredRuns: number | null
  outcomes: OutcomeCounts
  /** What each combination of policies would make of the outage. Null without one. */
  policies: PolicyResult[] | null
}

export interface ListedTick extends SimulatedTick, LocalTime {
  job: string
}

export interface SimulateOptions extends TimeRange {
  jobs: readonly ScheduledJob[]
  outage: TimeRange | null
  durations: readonly MeasuredDuration[]
  limit: number
  /** Rows of the ledger that are computed for each job. Default 50,000: more than a year, every 15 minutes. */
  maxTicks?: number
}

/** With fewer runs, nobody can tell how long the slowest one in twenty takes. */
const MIN_MEASURED_RUNS = 20
const MAX_TICKS = 50_000

/** Simulates every tick of the range: its outcome, and which jobs meet. */
export async function simulate(options: SimulateOptions): Promise<SimulationResult> {
  const { jobs, from, outage, durations, limit, maxTicks = MAX_TICKS } = options
  let to = options.to
  let cutAt: Date | null = null
  const done: (Simulation & { job: ScheduledJob; durationMs: number })[] = []
  for (const job of jobs) {
    const durationMs = measured(job, durations)?.p95Ms ?? job.timeoutMs
    const simulation = await simulateJob(job, { from, to, outage, durationMs, limit: maxTicks })
    // All jobs end where the first one had to, or a cut would look like a quiet time.
    if (simulation.cutAt !== null) to = cutAt = simulation.cutAt
    done.push({ job, durationMs, ...simulation })
  }
  const within = done.map(({ ticks, runs, ...rest }) => ({
    ...rest,
    ticks: ticks.filter(({ scheduledFor }) => scheduledFor < to),
    runs: runs.filter(({ scheduledFor }) => scheduledFor < to),
  }))
  const ticks = within
    .flatMap(({ job, ticks: own }) => own.map((tick) => ({ job: job.name, ...tick })))
    .toSorted((a, b) => a.scheduledFor.getTime() - b.scheduledFor.getTime())
  const localTimeOf = new Map(
    jobs.map(({ name, schedule }) => [name, createLocalTime(schedule.timeZone)]),
  )
  return {
    from,
    to: options.to,
    outage,
    jobs: await Promise.all(
      within.map(async ({ job, durationMs, ticks: own, interrupted }) => {
        const { name, schedule } = job
        return {
          name,
          cron: schedule.cron,
          timeZone: schedule.timeZone,
          missedPolicy: schedule.missed,
          overlapPolicy: schedule.overlap,
          catchUpMs: schedule.catchUpMs,
          durationMs,
          measuredRuns: measured(job, durations)?.runs ?? null,
          outcomes: countOutcomes(own),
          policies:
            outage && outage.from < to
              ? await comparePolicies(job, {
                  outage,
                  durationMs,
                  runs: interrupted,
                  limit: maxTicks,
                })
              : null,
        }
      }),
    ),
    ticks: ticks.slice(0, limit).flatMap((tick) => {
      const local = localTimeOf.get(tick.job)?.describe(tick.scheduledFor)
      return local ? [{ ...tick, ...local }] : []
    }),
    left: Math.max(0, ticks.length - limit),
    cutAt,
    collisions: findCollisions(ticks.map(({ job, scheduledFor }) => ({ job, at: scheduledFor }))),
    overlaps: findOverlaps(
      within.flatMap(({ job, runs }) => runs.map((run) => ({ job: job.name, ...run }))),
    ),
  }
}

function measured(
  { name }: ScheduledJob,
  durations: readonly MeasuredDuration[],
): MeasuredDuration | undefined {
  return durations.find((each) => each.name === name && each.runs >= MIN_MEASURED_RUNS)
}
