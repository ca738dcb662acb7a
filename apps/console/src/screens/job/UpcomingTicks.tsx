import type { ConsoleJobDetail } from '@roundsman/admin/contract'
import { formatExact } from '../../time/formatExact.ts'
import {
  describeMark,
  groupUpcoming,
  localClock,
  type UpcomingTick,
} from '../../time/groupUpcoming.ts'
import { nameDate } from '../../time/nameDate.ts'

export interface UpcomingTicksProps {
  upcoming: ConsoleJobDetail['upcoming']
  isCut: boolean
  isPaused: boolean
}

/** How many fit into a line; days with more fold out. */
const IN_A_LINE = 4

/** The next runs by day, on the clock of the schedule's zone. Days on which the clocks change stand out. */
export function UpcomingTicks({ upcoming, isCut, isPaused }: UpcomingTicksProps) {
  const days = groupUpcoming(upcoming)
  if (days.length === 0) {
    return (
      <p className="muted">
        {isPaused ? 'Paused: resume it to see when it is due.' : 'Not due within 30 days.'}
      </p>
    )
  }
  return (
    <div
      className="scrollBox upcoming"
      tabIndex={0}
      role="region"
      aria-label="Ticks of the next 30 days"
    >
      <ul className="lines">
        {days.map(({ date, ticks, offsets, hasClockChange }) => (
          <li key={date} className={hasClockChange ? 'upcomingDay hasClockChange' : 'upcomingDay'}>
            {ticks.length <= IN_A_LINE ? (
              <div className="lineItem">
                <span>{nameDate(date)}</span>
                <span className="lineEnd">
                  {ticks.map((tick) => (
                    <Tick key={tick.at} tick={tick} />
                  ))}
                </span>
              </div>
            ) : (
              <details open={hasClockChange}>
                <summary className="lineItem">
                  <span>{nameDate(date)}</span>
                  <span className="muted">
                    {ticks.length} ticks, {ends(ticks)}
                  </span>
                </summary>
                <div className="tickTimes">
                  {ticks.map((tick) => (
                    <Tick key={tick.at} tick={tick} />
                  ))}
                </div>
              </details>
            )}
            {hasClockChange && <ClockChange offsets={offsets} ticks={ticks} />}
          </li>
        ))}
      </ul>
      {isCut && (
        <p className="muted small">
          Only the next {upcoming.length.toLocaleString('en')} are listed.
        </p>
      )}
    </div>
  )
}

function Tick({ tick }: { tick: UpcomingTick }) {
  const { local, utc } = formatExact(tick.at)
  const mark = tick.mark === null ? '' : `\n${describeMark(tick.mark)}`
  return (
    <time
      dateTime={tick.at}
      className={tick.mark === null ? 'tickTime' : 'tickTime isMarked'}
      data-tip={`${tick.local.slice(11)} ${tick.offset}\n${local} for you\n${utc}${mark}`}
    >
      {localClock(tick)}
      {tick.mark !== null && (
        <span className="tickTimeMark">{tick.mark === 'afterGap' ? '↷' : '↻'}</span>
      )}
    </time>
  )
}

/** Explains a day on which the clocks change: the offsets before and after, and what becomes of ticks. */
function ClockChange({ offsets, ticks }: { offsets: string[]; ticks: UpcomingTick[] }) {
  const marks = new Set(ticks.flatMap(({ mark }) => (mark === null ? [] : [mark])))
  return (
    <p className="small clockChange">
      <span className="badge isLate">Clock change</span> {offsets.join(' → ')}
      {[...marks].map((mark) => (
        <span key={mark}>
          {' '}
          {mark === 'afterGap' ? '↷' : '↻'} {describeMark(mark)}
        </span>
      ))}
    </p>
  )
}

function ends(ticks: readonly UpcomingTick[]): string {
  const [first] = ticks
  const last = ticks.at(-1)
  return first && last ? `${localClock(first)} to ${localClock(last)}` : ''
}
