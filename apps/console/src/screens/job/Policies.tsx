import type { ConsoleJob, ConsoleJobDetail } from '@roundsman/admin/contract'
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
          <div>
            <dt>Schedule</dt>
            <dd>
              {schedule.words} <code>{schedule.cron}</code>
            </dd>
          </div>
          <div>
            <dt>Time zone</dt>
            <dd>{schedule.timeZone}</dd>
          </div>
          {change !== null && (
            <div>
              <dt>Changed</dt>
              <dd className="isWrapped">
                {change.to}, since{' '}
                <Moment at={change.at} timeZone={schedule.timeZone}>
                  {formatShort(change.at)}
                </Moment>{' '}
                ({change.by}){change.before !== null && `; before: ${change.before}`}
              </dd>
            </div>
          )}
          <div>
            <dt>Next</dt>
            <dd>
              <NextTick job={job} />
            </dd>
          </div>
          <div>
            <dt>Missed ticks</dt>
            <dd>
              {MISSED[schedule.missed]}, up to {formatDuration(schedule.catchUpMs)} later
            </dd>
          </div>
          <div>
            <dt>If one still runs</dt>
            <dd>{OVERLAP[schedule.overlap]}</dd>
          </div>
        </>
      )}
      <div>
        <dt>Runs at once</dt>
        <dd>{describeLanes(job)}</dd>
      </div>
      {job.rateLimit !== null && (
        <div>
          <dt>Rate limit</dt>
          <dd>
            {job.rateLimit.limit.toLocaleString('en')} in {formatDuration(job.rateLimit.perMs)},
            over all workers
          </dd>
        </div>
      )}
      <div>
        <dt>Time-out</dt>
        <dd>{formatDuration(job.timeoutMs)}</dd>
      </div>
      <div>
        <dt>Retries</dt>
        <dd>{describeRetry(retry)}</dd>
      </div>
      <div>
        <dt>Guard</dt>
        <dd>
          {guard === null ? 'None: one run may change any number of rows' : describeGuard(guard)}
        </dd>
      </div>
      {job.lastRun && (
        <div>
          <dt>Last run</dt>
          <dd>
            <Moment at={job.lastRun.startedAt} />
          </dd>
        </div>
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

function describeLanes({ isExclusive, concurrency }: ConsoleJob): string {
  if (isExclusive) return '1, over all workers'
  if (concurrency === null) return 'As many as a worker takes'
  return `${concurrency.toLocaleString('en')} in each worker`
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
