import type { ConsoleJob } from '@roundsman/fastify/contract'
import { Moment } from '../../parts/Moment.tsx'
import { exactLines } from '../../time/formatExact.ts'
import { formatRoughDuration } from '../../time/formatDuration.ts'

/** When it is due next, on every clock that differs, or why it is not. */
export function NextTick({ job: { schedule, paused } }: { job: ConsoleJob }) {
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
        <span className="muted">next</span> <Moment at={nextAt} timeZone={timeZone} />
      </p>
      {exactLines(nextAt, timeZone).map((line, index) => (
        <p key={line} className={index === 0 ? 'small' : 'small muted'}>
          {line}
        </p>
      ))}
    </div>
  )
}
