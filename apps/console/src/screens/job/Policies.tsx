import type { ConsoleJob, ConsoleJobDetail } from '@roundsman/admin/contract'
import { Link } from '@tanstack/react-router'
import { Fact } from '../../parts/Fact.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { formatDuration, formatRoughDuration } from '../../time/formatDuration.ts'
import { exactLines, formatShort } from '../../time/formatExact.ts'

export const MISSED = {
  once: 'One run makes up for all of them',
  all: 'Each gets its run',
  skip: 'They stay missed',
} as const

export const OVERLAP = {
  skip: 'The tick is skipped',
  queue: 'The tick waits for its turn',
  allow: 'Both run',
} as const

const KEY_ORDER = {
  fair: 'Each has its share; who has had least is next',
  fifo: 'The work of a key runs one at a time, in its order',
} satisfies Record<NonNullable<ConsoleJob['keyOrder']>, string>

/** The policies of a job's definition, in words. */
export function Policies({
  job,
  change,
}: {
  job: ConsoleJob
  change: ConsoleJobDetail['scheduleChange']
}) {
  const { schedule, retry, guard } = job
  return (
    <dl className="facts">
      {schedule && (
        <>
          <Fact name="Schedule">
            {schedule.words} <code>{schedule.cron}</code>
          </Fact>
          <Fact name="Time zone">{schedule.timeZone}</Fact>
          {change !== null && (
            <Fact name="Changed" isWrapped>
              {change.to}, since{' '}
              <Moment at={change.at} timeZone={schedule.timeZone}>
                {formatShort(change.at)}
              </Moment>{' '}
              ({change.by}){change.before !== null && `; before: ${change.before}`}
            </Fact>
          )}
          <Fact name="Next">
            <NextTick job={job} />
          </Fact>
          <Fact name="Missed ticks">
            {MISSED[schedule.missed]}, up to {formatDuration(schedule.catchUpMs)} later
          </Fact>
          <Fact name="If one still runs">{OVERLAP[schedule.overlap]}</Fact>
        </>
      )}
      <Fact name="Runs at once">{describeLanes(job)}</Fact>
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
            what each has
          </Link>
        </Fact>
      )}
      {(job.limits.length > 0 || job.globalConcurrency !== null) && (
        <Fact name="Limits" isWrapped>
          {job.limits.length > 0 && `${job.limits.join(', ')}: `}
          <Link to="/limits">who holds the slots</Link>
        </Fact>
      )}
      <Fact name="Time-out">{formatDuration(job.timeoutMs)}</Fact>
      <Fact name="Retries">{describeRetry(retry)}</Fact>
      <Fact name="Guard">
        {guard === null ? 'None: one run may change any number of rows' : describeGuard(guard)}
      </Fact>
      {job.lastRun && (
        <Fact name="Last run">
          <Moment at={job.lastRun.startedAt} />
        </Fact>
      )}
    </dl>
  )
}

/**
 * The pauses before the first retry and before the last: they double, and jitter adds up to as much again. Rounded as the
 * engine rounds them.
 */
export function describeRetry({ limit, delayMs, maxDelayMs }: ConsoleJob['retry']): string {
  if (limit === 0) return 'None'
  const seconds = (ms: number) => Math.max(1, Math.round(ms / 1_000))
  const pause = (factor: number) =>
    formatDuration(Math.min(seconds(maxDelayMs), seconds(delayMs) * factor) * 1_000)
  const [least, most, last] = [pause(1), pause(2), pause(2 ** Math.min(16, limit))]
  const first = least === most ? least : `${least} to ${most}`
  return `${limit.toLocaleString('en')}, after ${first}${last === most ? '' : `, doubling up to ${last}`}`
}

function describeLanes({ isExclusive, concurrency, ...over }: ConsoleJob): string {
  if (isExclusive) return '1, over all workers'
  const of = (count: number | null, whose: string) =>
    count === null ? [] : [`${count.toLocaleString('en')} ${whose}`]
  return [
    concurrency === null ? 'As many as a worker takes' : of(concurrency, 'in each worker'),
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

/** When the job is due next, on every clock that differs, or why it is not. */
function NextTick({ job: { schedule, paused } }: { job: ConsoleJob }) {
  if (paused !== null) {
    return (
      <div className="jobNext">
        <p>
          <span className="badge isPaused">Paused</span> <Moment at={paused.at} />
        </p>
        <p className="small muted">
          {paused.by !== null && <>by {paused.by}</>}
          {paused.reason !== null && paused.reason !== '' && <>: {paused.reason}</>}
        </p>
      </div>
    )
  }
  if (schedule === null) return <div className="jobNext muted small">No schedule</div>
  if (schedule.nextAt === null) return <div className="jobNext muted small">Never due again</div>
  const { nextAt, timeZone } = schedule
  return (
    <div className="jobNext">
      <p>
        {schedule.lateMs !== null && (
          <span className="badge isLate">{formatRoughDuration(schedule.lateMs)} late</span>
        )}{' '}
        <Moment at={nextAt} isToCome timeZone={timeZone} />
      </p>
      {exactLines(nextAt, timeZone).map((line, index) => (
        <p key={line} className={index === 0 ? 'small' : 'small muted'}>
          {line}
        </p>
      ))}
    </div>
  )
}
