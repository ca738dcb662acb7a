import type { ConsoleJob, ConsoleJobDetail } from '@roundsman/admin/contract'
import { Link } from '@tanstack/react-router'
import { Fact } from '../../parts/Fact.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { formatDuration, formatRoughDuration } from '../../time/formatDuration.ts'
import { formatShort } from '../../time/formatExact.ts'

export const MISSED = {
  once: 'One run for all of them',
  all: 'One run for each',
  skip: 'Not run',
} as const

export const OVERLAP = {
  skip: 'The tick is skipped',
  queue: 'The tick waits for its turn',
  allow: 'Both run',
} as const

const KEY_ORDER = {
  fair: 'Shared fairly',
  fifo: 'One run at a time of each key, in order',
} satisfies Record<NonNullable<ConsoleJob['keyOrder']>, string>

/** Returns `One run for all of them of the last 1 d`, or `Not run`. */
export const describeMissed = (missed: keyof typeof MISSED, catchUpMs: number) =>
  missed === 'skip' ? MISSED.skip : `${MISSED[missed]} of the last ${formatDuration(catchUpMs)}`

/** The policies of a job's definition, in words. Those that are as usual are left out. */
export function Policies({
  job,
  change,
}: {
  job: ConsoleJob
  change: ConsoleJobDetail['scheduleChange']
}) {
  const { schedule, retry, guard, lastRun } = job
  const lanes = describeLanes(job)
  return (
    <dl className="facts">
      {schedule && (
        <>
          <Fact name="Schedule">
            {schedule.words} <code>{schedule.cron}</code>{' '}
            <span className="muted">{schedule.timeZone}</span>
          </Fact>
          {change !== null && (
            <Fact name="Changed" isWrapped>
              <Moment at={change.at} timeZone={schedule.timeZone} /> by {change.by}: now {change.to}
              {change.before !== null && `, was ${change.before}`}
            </Fact>
          )}
          <Fact name="Next" isWrapped>
            <NextTick job={job} />
          </Fact>
          {(schedule.missed !== 'once' || schedule.catchUpMs !== DAY_MS) && (
            <Fact name="Missed ticks">{describeMissed(schedule.missed, schedule.catchUpMs)}</Fact>
          )}
          {schedule.overlap !== 'skip' && (
            <Fact name="If one still runs">{OVERLAP[schedule.overlap]}</Fact>
          )}
        </>
      )}
      {lanes !== '' && <Fact name="Runs at once">{lanes}</Fact>}
      {job.rateLimit !== null && (
        <Fact name="Rate limit">
          {job.rateLimit.limit.toLocaleString('en')} in {formatDuration(job.rateLimit.perMs)},{' '}
          {job.rateLimit.by === 'key' ? 'of each key' : 'over all workers'}
        </Fact>
      )}
      {job.keyOrder !== null && (
        <Fact name="Keys" isWrapped>
          {KEY_ORDER[job.keyOrder]}:{' '}
          <Link to="/jobs/$name/keys" params={{ name: job.name }}>
            all its keys
          </Link>
        </Fact>
      )}
      {(job.limits.length > 0 || job.globalConcurrency !== null) && (
        <Fact name="Limits" isWrapped>
          {job.limits.length > 0 && `${job.limits.join(', ')}: `}
          <Link to="/limits">runs under them</Link>
        </Fact>
      )}
      <Fact name="Time-out">{formatDuration(job.timeoutMs)}</Fact>
      <Fact name="Retries">{describeRetry(retry)}</Fact>
      {guard !== null && <Fact name="Guard">{describeGuard(guard)}</Fact>}
      {lastRun && (
        <Fact name="Last run">
          <Link to="/runs/$id" params={{ id: lastRun.id }}>
            <Moment at={lastRun.startedAt} isInControl />
          </Link>
        </Fact>
      )}
    </dl>
  )
}

const DAY_MS = 86_400_000

/**
 * Returns `2 retries: after 5–10 s, then 10–20 s`. The pauses double, and jitter adds up to as much again. Rounded as the engine
 * rounds them.
 */
export function describeRetry({ limit, delayMs, maxDelayMs }: ConsoleJob['retry']): string {
  if (limit === 0) return 'None'
  const seconds = (ms: number) => Math.max(1, Math.round(ms / 1_000))
  const pause = (factor: number) =>
    formatDuration(Math.min(seconds(maxDelayMs), seconds(delayMs) * factor) * 1_000)
  const span = (factor: number) => {
    const [least, most] = [pause(factor), pause(2 * factor)]
    if (least === most) return least
    // `5–10 s`, and `40 s–1 min 20 s`.
    const [amount, unit] = least.split(' ')
    return most.split(' ').length === 2 &&
      most.endsWith(` ${unit}`) &&
      least === `${amount} ${unit}`
      ? `${amount}–${most}`
      : `${least}–${most}`
  }
  const [first, second, last] = [span(1), span(2), pause(2 ** Math.min(16, limit))]
  const rest =
    limit === 1 || first === last
      ? ''
      : limit === 2
        ? `, then ${second}`
        : `, doubling up to ${last}`
  return `${limit.toLocaleString('en')} ${limit === 1 ? 'retry' : 'retries'}: after ${first}${rest}`
}

/** Empty: the worker's own limit. */
function describeLanes({ isExclusive, concurrency, ...over }: ConsoleJob): string {
  if (isExclusive) return '1, over all workers'
  const of = (count: number | null, whose: string) =>
    count === null ? [] : [`${count.toLocaleString('en')} ${whose}`]
  return [
    ...of(concurrency, 'in each worker'),
    ...of(over.globalConcurrency, 'over all workers'),
    ...of(over.concurrencyPerKey, 'of each key'),
  ].join(', ')
}

function describeGuard({ maxRows, maxShare, minRows }: NonNullable<ConsoleJob['guard']>): string {
  const limits = [
    maxRows === null ? [] : [`${maxRows.toLocaleString('en')} rows`],
    maxShare === null ? [] : [`${(maxShare * 100).toLocaleString('en')} % of the rows`],
  ].flat()
  const always = minRows === null ? '' : `; never for up to ${minRows.toLocaleString('en')} rows`
  return `Asks before it changes more than ${limits.join(' or ')}${always}`
}

/** When the job is due next, or why it is not. */
function NextTick({ job: { schedule, paused } }: { job: ConsoleJob }) {
  if (paused !== null)
    return (
      <>
        <span className="badge isPaused">Paused</span> <Moment at={paused.at} />
        {paused.by !== null && ` by ${paused.by}`}
        {paused.reason !== null && paused.reason !== '' && `: ${paused.reason}`}
      </>
    )
  if (schedule === null || schedule.nextAt === null) return 'Never due again'
  return (
    <>
      {schedule.lateMs !== null && (
        <span className="badge isLate">{formatRoughDuration(schedule.lateMs)} late</span>
      )}{' '}
      <Moment at={schedule.nextAt} isToCome timeZone={schedule.timeZone} />,{' '}
      {formatShort(schedule.nextAt, schedule.timeZone)}
    </>
  )
}
