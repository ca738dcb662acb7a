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
      {actions.map(({ at, action, actor, reason, count }) => (
        <li key={`${at} ${action} ${actor}`} className="lineItem">
          <span className="isWrapped">
            <strong>{actor}</strong> {actionInWords(action)}
            {count > 1 && `, as one of ${count.toLocaleString('en')}`}
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
