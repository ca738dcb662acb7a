import type { ConsoleAction } from '@roundsman/admin/contract'
import type { ReactNode } from 'react'
import { actionInWords } from '../api/actionInWords.ts'
import { EmptyState } from './EmptyState.tsx'
import { Moment } from './Moment.tsx'

/** A list of who did what, and why. */
export function ActionLog({ actions }: { actions: readonly ConsoleAction[] }): ReactNode {
  if (actions.length === 0) return <EmptyState title="Nobody did anything about it" />
  return (
    <ol className="lines">
      {actions.map(({ at, action, actor, reason, bulk }) => (
        <li key={`${at} ${action} ${actor}`} className="lineItem">
          <span className="isWrapped">
            <strong>{actor}</strong> {actionInWords(action)}
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
