import type { RunDetail } from '../../api/run.ts'
import { Moment } from '../../parts/Moment.tsx'
import { ProgressBar } from '../../parts/ProgressBar.tsx'
import { formatExact } from '../../time/formatExact.ts'
import { runTimeline } from './runTimeline.ts'

export function Timeline({ run }: { run: RunDetail }) {
  return (
    <ol className="timeline">
      {runTimeline(run).map(({ key, label, at, note, state }) => (
        <li key={key} className={`timelineStep is-${state}`}>
          <span className="timelineLabel">{label}</span>
          <span className="timelineTime">
            {at === null ? (
              <span className="muted">{state === 'ahead' ? 'not yet' : ''}</span>
            ) : (
              <Moment at={at}>{formatExact(at).local}</Moment>
            )}
          </span>
          {note !== null && <span className="timelineNote muted">{note}</span>}
          {key === 'ended' && state === 'ahead' && run.progress !== null && (
            <ProgressBar progress={run.progress} label="Progress" />
          )}
        </li>
      ))}
    </ol>
  )
}
