import type { ConsoleAction } from '@roundsman/admin/contract'
import type { ReactNode } from 'react'
import { EmptyState } from './EmptyState.tsx'
import { Moment } from './Moment.tsx'

const WORDS: Readonly<Record<string, string>> = {
  run: 'asked for a run',
  dryRun: 'asked for a dry run',
  pause: 'paused the schedule',
  resume: 'resumed the schedule',
  cancel: 'cancelled it',
  approve: 'approved it',
  redrive: 'had it retried',
  discard: 'discarded it',
  pauseQueue: 'paused the queue',
  resumeQueue: 'resumed the queue',
  cancelWork: 'cancelled it while it waited',
  postponeWork: 'postponed it',
  prioritiseWork: 'changed its priority',
  showPayload: 'looked at the payload',
  reschedule: 'changed the schedule',
}

/** A list of who did what, and why. */
export function ActionLog({ actions }: { actions: readonly ConsoleAction[] }): ReactNode {
  if (actions.length === 0) return <EmptyState title="Nobody did anything about it" />
  return (
    <ol className="lines">
      {actions.map(({ at, action, actor, reason, bulk }) => (
        <li key={`${at} ${action} ${actor}`} className="lineItem">
          <span className="isWrapped">
            <strong>{actor}</strong> {WORDS[action] ?? action}
            {bulk !== null && tellMany(bulk)}
            {reason !== null && <span className="muted">: {reason}</span>}
          </span>
          <span className="lineEnd">
            <Moment at={at} />
          </span>
        </li>
      ))}
    </ol>
  )
}

function tellMany({ matched, done, endedAt, stoppedBy }: NonNullable<ConsoleAction['bulk']>) {
  const number = done.toLocaleString('en')
  const of = done === matched ? '' : ` of ${matched.toLocaleString('en')}`
  const end = stoppedBy !== null ? `, stopped by ${stoppedBy}` : endedAt === null ? ' so far' : ''
  return `, as one of ${number}${of}${end}`
}
