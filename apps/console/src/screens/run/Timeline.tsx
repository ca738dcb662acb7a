import type { RunDetail } from '@roundsman/admin/contract'
import { Moment } from '../../parts/Moment.tsx'
import { ProgressBar } from '../../parts/ProgressBar.tsx'
import { formatDuration } from '../../time/formatDuration.ts'
import {
  differsFromViewer,
  formatExact,
  formatSeconds,
  formatShort,
} from '../../time/formatExact.ts'
import type { BatchSpan } from './batchSpans.ts'
import { runTimeline } from './runTimeline.ts'

export function Timeline({ run }: { run: RunDetail }) {
  return (
    <ol className="timeline">
      {runTimeline(run).map(({ key, label, at, note, state, batches = [] }) => (
        <li key={key} className={`timelineStep is-${state}`}>
          <span className="timelineLabel">{label}</span>
          <span className="timelineTime">
            {at === null ? (
              <span className="muted">{state === 'ahead' ? 'not yet' : ''}</span>
            ) : (
              <Moment at={at}>{formatExact(at).local}</Moment>
            )}
          </span>
          {key === 'due' && at !== null && <InZone at={at} timeZone={run.timeZone} />}
          {note !== null && <span className="timelineNote muted">{note}</span>}
          {key === 'ended' && state === 'ahead' && run.progress !== null && (
            <ProgressBar progress={run.progress} label="Progress" />
          )}
          {batches.length > 0 && <Batches spans={batches} />}
        </li>
      ))}
    </ol>
  )
}

/** The clock of the schedule that named an instant, where the viewer's shows another time. */
function InZone({ at, timeZone }: { at: string; timeZone: string | null }) {
  if (timeZone === null || !differsFromViewer(at, timeZone)) return null
  return (
    <span className="timelineNote muted">
      {formatShort(at, timeZone)} in {timeZone}
    </span>
  )
}

function Batches({ spans }: { spans: readonly BatchSpan[] }) {
  return (
    <ol className="batches" aria-label="Batches">
      {spans.map(({ label, at, counted, tookMs }) => (
        <li key={label}>
          <Moment at={at}>{formatSeconds(at)}</Moment>
          <span>{label}</span>
          <span className="isWrapped">{counted}</span>
          <span className="muted">in {formatDuration(tookMs)}</span>
        </li>
      ))}
    </ol>
  )
}
