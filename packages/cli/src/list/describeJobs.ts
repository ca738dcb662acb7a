import {
  createLocalTime,
  nextTicks,
  type LocalTime,
  type PausedQueue,
  type KeyOrder,
} from '@roundsman/engine/internal'
import type {
  Guard,
  IsolationLimits,
  Job,
  RateLimit,
  RetryPolicy,
  Schedule,
} from '@roundsman/engine'
import type { ScheduleRow } from '@roundsman/engine/client'
import cronstrue from 'cronstrue'
import type { Product } from '../command/product.ts'

/** A schedule as workers have recorded it. */
export type ScheduleState = Pick<
  ScheduleRow,
  'name' | 'cron' | 'timeZone' | 'pausedAt' | 'pausedBy' | 'pauseReason'
>

export const JOB_STATES = ['enabled', 'paused', 'disabled', 'unknown'] as const
/** `paused`: its schedule, its queue or both are. `unknown`: known only with the database. */
export type JobState = (typeof JOB_STATES)[number]

export interface Pause {
  at: string
  by: string | null
  reason: string | null
}

/** A job as --json prints it. */
export interface ListedJob {
  name: string
  description: string
  state: JobState
  /** Its schedule is. */
  paused: Pause | null
  /** No worker takes its work, retries included. */
  queuePaused: Pause | null
  schedule: ListedSchedule | null
  timeoutMs: number
  /** How long work with steps may take in all. Null: there is no limit. */
  deadlineMs: number | null
  retry: RetryPolicy
  /** Runs at once in one worker. Null: WORKER_CONCURRENCY. */
  concurrency: number | null
  isExclusive: boolean
  /** Over all workers, and of one key. Null: no such limit. */
  globalConcurrency: number | null
  concurrencyPerKey: number | null
  /** In which order keys get their turn. Null: its work has none. */
  keyOrder: KeyOrder | null
  /** The names of those that it shares with other jobs. */
  limits: string[]
  rateLimit: RateLimit | null
  /** Null when it runs in the worker's own process. */
  isolate: IsolationLimits | null
  isDestructive: boolean
  guard: Guard | null
  unguarded: string | null
}

export interface ListedSchedule extends Schedule {
  words: string
  /** The variable that overrides the expression, if there is one; `isOverridden` says whether it does. */
  variable: string | null
  isOverridden: boolean
  /** The schedule that workers follow until one starts with the listed one. Null when they are the same. */
  recorded: { cron: string; timeZone: string } | null
  next: (LocalTime & { at: Date })[]
}

export interface DescribeJobsOptions extends Pick<
  Product,
  'jobs' | 'catalogue' | 'isEnabled' | 'cronVariable'
> {
  /** Null when no database could be asked. */
  states: readonly ScheduleState[] | null
  /** By name. */
  pausedQueues: ReadonlyMap<string, PausedQueue>
  now: Date
  /** How many ticks of each schedule to list. */
  ticks: number
}

export function describeJobs(options: DescribeJobsOptions): ListedJob[] {
  const { jobs, catalogue, states, pausedQueues, isEnabled } = options
  return jobs.map((job, index) => {
    const { name, description, timeoutMs, deadlineMs, retry, concurrency, isExclusive } = job
    const { globalConcurrency, concurrencyPerKey, partition, limits } = job
    const { rateLimit, isolate, isDestructive, guard, unguarded } = job
    const recorded = states?.find((state) => state.name === name)
    const [paused, queuePaused] = [toPause(recorded), toPause(pausedQueues.get(name))]
    return {
      name,
      description,
      state: !isEnabled
        ? 'disabled'
        : states === null
          ? 'unknown'
          : (paused ?? queuePaused) === null
            ? 'enabled'
            : 'paused',
      paused,
      queuePaused,
      schedule: describeSchedule(job, catalogue[index], recorded, options),
      timeoutMs,
      deadlineMs,
      retry,
      concurrency,
      isExclusive,
      globalConcurrency,
      concurrencyPerKey,
      keyOrder: partition?.order ?? null,
      limits: limits.map((limit) => limit.name),
      rateLimit,
      isolate,
      isDestructive,
      guard,
      unguarded,
    }
  })
}

function toPause(
  of: Pick<ScheduleState, 'pausedAt' | 'pausedBy' | 'pauseReason'> | undefined,
): Pause | null {
  return of?.pausedAt ? { at: of.pausedAt, by: of.pausedBy, reason: of.pauseReason } : null
}

function describeSchedule(
  { name, schedule }: Job,
  defined: Job | undefined,
  recorded: ScheduleState | undefined,
  { now, ticks, cronVariable }: DescribeJobsOptions,
): ListedSchedule | null {
  if (schedule === null) return null
  const { cron, timeZone } = schedule
  const isRecorded = recorded?.cron === cron && recorded.timeZone === timeZone
  const localTime = createLocalTime(timeZone)
  return {
    ...schedule,
    words: describeCron(cron),
    variable: cronVariable?.(name) ?? null,
    isOverridden: defined?.schedule?.cron !== cron,
    recorded: recorded && !isRecorded ? { cron: recorded.cron, timeZone: recorded.timeZone } : null,
    next: nextTicks(schedule, now)
      .take(ticks)
      .map((at) => ({ at, ...localTime.describe(at) }))
      .toArray(),
  }
}

/** A cron expression in words, as part of a sentence: `every 15 minutes`, `at 03:00`. */
export function describeCron(cron: string): string {
  try {
    const words = cronstrue.toString(cron, { use24HourTimeFormat: true, verbose: false })
    return words.charAt(0).toLowerCase() + words.slice(1)
  } catch {
    return cron
  }
}
