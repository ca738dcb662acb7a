import type { DeadLetter, WaitingWork } from '@roundsman/admin/contract'
import { Link } from '@tanstack/react-router'
import type { Column } from '../../parts/DataTable.tsx'
import { Due } from '../../parts/Due.tsx'
import { Moment } from '../../parts/Moment.tsx'

/** How many attempts a piece of work has had: it leads to their runs. */
export function AttemptsLink({
  attempts,
  workId,
  name,
}: Pick<WaitingWork, 'attempts' | 'workId' | 'name'>) {
  return (
    <Link to="/runs" search={{ workId }} aria-label={`${attempts}, the runs of ${name}`}>
      {attempts}
    </Link>
  )
}

/** When a dead letter was given up: it leads to the run that failed. */
export const GIVEN_UP: Column<DeadLetter> = {
  header: 'Given up',
  isRowHeader: true,
  isPlain: true,
  cell: ({ failedAt, runId, name }) =>
    runId === null ? (
      <Moment at={failedAt} />
    ) : (
      <Link to="/runs/$id" params={{ id: runId }} data-row-link className="strongLink rowLink">
        <Moment at={failedAt} isInControl />
        <span className="srOnly">, the run of {name} that failed</span>
      </Link>
    ),
}

/** Why it was given up. */
export const LETTER_ERROR: Column<DeadLetter> = {
  header: 'Error',
  isPlain: true,
  isWide: true,
  cell: ({ error }) => (
    <span className="isCut isBlock" title={error.message ?? undefined}>
      <code>{error.code}</code> <span className="muted">{error.message}</span>
    </span>
  ),
}

/** Waiting work in a short list: each row leads to why it waits. */
export const WAITING: readonly Column<WaitingWork>[] = [
  {
    header: 'Due',
    isRowHeader: true,
    isPlain: true,
    cell: ({ workId, startAfter, name }) => (
      <Link to="/waiting/$id" params={{ id: workId }} data-row-link className="strongLink rowLink">
        <Due at={startAfter} isInControl />
        <span className="srOnly">, why this work of {name} waits</span>
      </Link>
    ),
  },
  {
    header: 'Label',
    isWide: true,
    isEmpty: ({ label }) => label === null,
    cell: ({ label }) => label,
  },
  { header: 'Enqueued', cell: ({ enqueuedAt }) => <Moment at={enqueuedAt} /> },
  {
    header: 'Attempts',
    align: 'end',
    isEmpty: ({ attempts }) => attempts === 0,
    cell: ({ attempts }) => attempts > 0 && attempts,
  },
]
