import type { SchedulePreview } from '@roundsman/admin/contract'
import { formatExact, formatShort, nameDate } from '../../time/formatExact.ts'

interface NextRunsProps {
  upcoming: SchedulePreview['upcoming']
  timeZone: string
}

type Tick = SchedulePreview['upcoming'][number]

/** When a schedule is due next, on the clocks of its zone and on the viewer's. */
export function NextRuns({ upcoming, timeZone }: NextRunsProps) {
  if (upcoming.length === 0) return <p className="muted">It is never due again.</p>
  return (
    <table className="nextRuns">
      <thead>
        <tr>
          <th scope="col">{timeZone}</th>
          <th scope="col">For you</th>
        </tr>
      </thead>
      <tbody>
        {upcoming.map((tick) => (
          <tr key={tick.at}>
            <td>
              {/* As the server says: it may know zones that this browser does not. */}
              <time dateTime={tick.at}>
                {nameDate(tick.local.slice(0, 10))}, {clockOf(tick)}
              </time>{' '}
              <span className="muted small">{tick.offset}</span>
              {tick.mark !== null && <p className="small">{MARKS[tick.mark]}</p>}
            </td>
            <td title={formatExact(tick.at).utc}>{formatShort(tick.at)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

const MARKS = {
  afterGap: 'The clocks skip its own time: it is due at the end of the gap.',
  repeatedHour: 'The clocks show this hour twice.',
} satisfies Record<NonNullable<Tick['mark']>, string>

/** Writes `04:00`, with seconds only if there are any. */
function clockOf({ local }: Tick): string {
  const clock = local.slice(11, 19)
  return clock.endsWith(':00') && clock.length === 8 ? clock.slice(0, 5) : clock
}
