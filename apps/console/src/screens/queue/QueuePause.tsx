import type { ConsoleQueueJob } from '@roundsman/admin/contract'
import { ActButton } from '../../actions/ActButton.tsx'
import { Moment } from '../../parts/Moment.tsx'

/** Whether workers take a job's work, and the action that changes it. */
export function QueuePause({
  job: { name, queuePaused, isUntaken, isOrphaned },
}: {
  job: Pick<ConsoleQueueJob, 'name' | 'queuePaused' | 'isUntaken' | 'isOrphaned'>
}) {
  return (
    <span className="queuePause">
      {queuePaused !== null && (
        <span className="isWrapped">
          <span className="badge isLate">Paused</span>{' '}
          <span>
            by {queuePaused.by}
            {queuePaused.reason !== null && ` · ${queuePaused.reason}`}
          </span>{' '}
          <span className="muted">
            <Moment at={queuePaused.at} />
          </span>
        </span>
      )}
      {isOrphaned && (
        <span
          className="badge isLate"
          data-tip="The job has left the catalogue, and no worker that lives knows it."
        >
          Orphaned
        </span>
      )}
      {isUntaken && !isOrphaned && (
        <span className="badge isLate" data-tip="Workers live, and none of them takes its work.">
          No worker takes it
        </span>
      )}
      {/* One button for both: it keeps the focus when its meaning changes. */}
      <ActButton
        look={queuePaused === null ? 'isQuiet' : 'isPrimary'}
        aria-label={`${queuePaused === null ? 'Pause' : 'Resume'} the queue of ${name}`}
        action={{ kind: queuePaused === null ? 'pauseQueue' : 'resumeQueue', name }}
      >
        {queuePaused === null ? 'Pause' : 'Resume'}
      </ActButton>
    </span>
  )
}
