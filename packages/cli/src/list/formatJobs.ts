import type { RetryPolicy, Job } from '@roundsman/engine'
import { describeDuration } from '../command/describeDuration.ts'
import { layOutRows, wrap, type Layout, type Style } from '../command/layout.ts'
import type { JobState, ListedJob, ListedSchedule, Pause } from './describeJobs.ts'

const STATE_STYLES: Record<JobState, Style> = {
  enabled: 'green',
  paused: 'yellow',
  disabled: 'red',
  unknown: 'dim',
}

export const MISSED = {
  once: 'one run for all of them',
  all: 'one run for each',
  skip: 'not run',
} as const

const OVERLAP = {
  skip: 'skip: the tick is skipped',
  queue: 'queue: the tick waits for its turn',
  allow: 'allow: both run',
} as const

const MARKS = {
  afterGap: 'the clocks are set forward: it was due before',
  repeatedHour: 'this time comes twice that day',
} as const

/** Text for people: a block of lines for each job. */
export function formatJobs(jobs: readonly ListedJob[], layout: Layout): string {
  return jobs.map((job) => formatJob(job, layout)).join('\n\n')
}

function formatJob(job: ListedJob, layout: Layout): string {
  const { width, paint } = layout
  const state = paint(STATE_STYLES[job.state], job.state)
  const gap = Math.max(2, width - job.name.length - job.state.length)
  const facts = [
    ...(job.paused ? [['paused', describePause(job.paused)]] : []),
    ...(job.queuePaused ? [['queue', `paused ${describePause(job.queuePaused)}`]] : []),
    ...(job.schedule ? scheduleFacts(job.schedule) : [['schedule', 'none: runs when enqueued']]),
    ['time-out', describeDuration(job.timeoutMs)],
    ...(job.deadlineMs === null ? [] : [['deadline', describeDuration(job.deadlineMs)]]),
    ['retries', describeRetry(job.retry)],
    ['at once', describeConcurrency(job)],
    ['rate limit', describeRateLimit(job)],
    ...(job.keyOrder === null ? [] : [['keys', KEY_ORDER[job.keyOrder]]]),
    ...(job.limits.length === 0 ? [] : [['shared limits', job.limits.join(', ')]]),
    ...(job.isolate ? [['process', `of its own, with a heap of ${job.isolate.memoryMb} MB`]] : []),
    ['guard', describeGuard(job)],
  ]
  return [
    `${paint('bold', job.name)}${' '.repeat(gap)}${state}`,
    ...(job.description === '' ? [] : [`  ${wrap(job.description, width - 2, 2)}`]),
    ...layOutRows(
      facts.map((cells) => ({ cells })),
      layout,
      2,
    ),
  ].join('\n')
}

function scheduleFacts(schedule: ListedSchedule): string[][] {
  const { cron, timeZone, words, variable, isOverridden, recorded, missed, overlap } = schedule
  return [
    ['schedule', `${words}, ${timeZone}`],
    [
      'cron',
      variable === null
        ? cron
        : `${cron}  (${isOverridden ? 'from' : 'override with'} ${variable})`,
    ],
    ...(recorded
      ? [['', `workers still go by ${recorded.cron}, ${recorded.timeZone}, until one restarts`]]
      : []),
    ...schedule.next.map((tick, nth) => [nth === 0 ? 'next' : '', describeTick(tick, timeZone)]),
    [
      'missed',
      missed === 'skip'
        ? `skip: ${MISSED.skip}`
        : `${missed}: ${MISSED[missed]} of the last ${describeDuration(schedule.catchUpMs)}`,
    ],
    ['overlap', OVERLAP[overlap]],
  ]
}

export function describeTick(tick: ListedSchedule['next'][number], timeZone: string): string {
  const utc = tick.at.toISOString().slice(0, 19).replace('T', ' ')
  const where = timeZone === 'UTC' ? `${utc} UTC` : `${tick.local} ${tick.offset}  (${utc} UTC)`
  return tick.mark === null ? where : `${where}: ${MARKS[tick.mark]}`
}

export function describePause({ at, by, reason }: Pause): string {
  const since = `since ${at.slice(0, 16).replace('T', ' ')} UTC`
  return `${since}${by === null ? '' : ` by ${by}`}${reason ? `: ${reason}` : ''}`
}

/** The pauses before retries, rounded as the engine does: they double, and jitter adds up to as much. */
function describeRetry({ limit, delayMs, maxDelayMs }: RetryPolicy): string {
  if (limit === 0) return 'none'
  const seconds = (ms: number) => Math.max(1, Math.round(ms / 1_000))
  const pause = (factor: number) =>
    describeDuration(Math.min(seconds(maxDelayMs), seconds(delayMs) * factor) * 1_000)
  const span = (factor: number) =>
    pause(factor) === pause(2 * factor) ? pause(factor) : `${pause(factor)} to ${pause(2 * factor)}`
  const last = pause(2 ** Math.min(16, limit))
  const rest =
    last === pause(2) ? '' : limit === 2 ? `, then ${span(2)}` : `, doubling up to ${last}`
  return `${limit} ${limit === 1 ? 'retry' : 'retries'}: after ${span(1)}${rest}`
}

const KEY_ORDER = {
  fair: 'fair: shared fairly',
  fifo: 'fifo: one run at a time of each key, in order',
} satisfies Record<NonNullable<ListedJob['keyOrder']>, string>

function describeConcurrency({ isExclusive, isolate, ...of }: ListedJob): string {
  if (isExclusive) return 'exclusive: one run at a time over all workers'
  const { concurrency, globalConcurrency, concurrencyPerKey } = of
  const most = `as many as the worker's concurrency${isolate === null ? '' : ', and no more than processors'}`
  return [
    concurrency === null ? most : `${concurrency} in each worker`,
    ...(globalConcurrency === null ? [] : [`${globalConcurrency} over all workers`]),
    ...(concurrencyPerKey === null ? [] : [`${concurrencyPerKey} of each key`]),
  ].join(', ')
}

function describeRateLimit({ rateLimit }: ListedJob): string {
  if (rateLimit === null) return 'none'
  const whose = rateLimit.by === 'key' ? 'of each key' : 'over all workers'
  return `${rateLimit.limit} starts in ${describeDuration(rateLimit.perMs)} ${whose}`
}

/** How much one run may change, in words. */
export function describeGuard({
  guard,
  isDestructive,
  unguarded,
}: Pick<Job, 'guard' | 'isDestructive' | 'unguarded'>): string {
  if (guard === null) {
    if (unguarded !== null) return `none: ${unguarded}`
    return isDestructive ? 'none, though it is destructive' : 'none'
  }
  const { maxRows, maxShare, minRows } = guard
  const limits = [
    maxRows === undefined ? [] : [`${count(maxRows)} rows`],
    maxShare === undefined ? [] : [`${count(maxShare * 100)} % of the rows`],
  ].flat()
  const always = minRows === undefined ? '' : `, never below ${count(minRows)} rows`
  return `asks above ${limits.join(' or ')}${always}`
}

function count(value: number): string {
  return value.toLocaleString('en')
}
