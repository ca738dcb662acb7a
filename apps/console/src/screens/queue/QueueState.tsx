import type { ConsoleQueueJob } from '@roundsman/admin/contract'
import { useAction } from '../../actions/useAction.ts'
import { Menu } from '../../parts/Menu.tsx'
import { Moment } from '../../parts/Moment.tsx'

type Queue = Pick<ConsoleQueueJob, 'name' | 'queuePaused' | 'isUntaken' | 'isOrphaned'>

/** Why workers do not take a job's work. Nothing where they do. */
export function QueueState({ queue }: { queue: Queue }) {
  const { queuePaused, isUntaken, isOrphaned } = queue
  return (
    <>
      {queuePaused !== null && (
        <span className="isWrapped">
          <span className="badge isLate">Paused</span> by {queuePaused.by}
          {queuePaused.reason !== null && ` · ${queuePaused.reason}`}{' '}
          <span className="muted">
            <Moment at={queuePaused.at} />
          </span>
        </span>
      )}
      {isOrphaned && (
        <span
          className="badge isLate"
          data-tip="The job has left the catalogue, and no living worker knows it."
          tabIndex={0}
        >
          Orphaned
        </span>
      )}
      {isUntaken && !isOrphaned && (
        <span
          className="badge isLate"
          data-tip="Workers are alive, and none of them takes its work."
          tabIndex={0}
        >
          No worker takes it
        </span>
      )}
    </>
  )
}

/** The pages and the actions of a queue. */
export function QueueMenu({ queue: { name, queuePaused } }: { queue: Queue }) {
  const act = useAction()
  return (
    <Menu
      label={`Actions for the queue of ${name}`}
      items={[
        act !== null &&
          (queuePaused === null
            ? { label: 'Pause the queue', onChoose: () => act({ kind: 'pauseQueue', name }) }
            : { label: 'Resume the queue', onChoose: () => act({ kind: 'resumeQueue', name }) }),
        { label: 'Waiting work', link: { to: '/waiting', search: { name } } },
        { label: 'Dead letters', link: { to: '/dead-letters', search: { name } } },
        { label: 'Runs', link: { to: '/runs', search: { name } } },
      ]}
    />
  )
}
