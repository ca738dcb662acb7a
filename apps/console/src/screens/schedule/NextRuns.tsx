import type { SchedulePreview } from '@roundsman/admin/contract'
import { formatExact, formatShort } from '../../time/formatExact.ts'
import { describeMark, localClock } from '../../time/groupUpcoming.ts'
import { nameDate } from '../../time/nameDate.ts'

interface NextRunsProps {
  upcoming: SchedulePreview['upcoming']
  timeZone: string
}

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
                {nameDate(tick.local.slice(0, 10))}, {localClock(tick)}
              </time>{' '}
              <span className="muted small">{tick.offset}</span>
              {tick.mark !== null && <p className="small">{describeMark(tick.mark)}</p>}
            </td>
            <td title={formatExact(tick.at).utc}>{formatShort(tick.at)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
