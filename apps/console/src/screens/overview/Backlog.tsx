import type { ConsoleBacklog } from '@roundsman/admin/contract'
import { JobLink } from '../../parts/JobLink.tsx'
import { formatDuration } from '../../time/formatDuration.ts'
import { dueCount } from './describeOverview.ts'

/** What waits, and why. */
export function Backlog({ backlog }: { backlog: readonly ConsoleBacklog[] }) {
  return (
    <ul className="lines">
      {backlog.map((row) => (
        <li key={row.name} className="lineItem isFolding">
          <span className="isWrapped">
            <JobLink name={row.name} />{' '}
            <span className="muted">
              {dueCount(row)} waiting
              {row.oldestMs > 0 &&
                `, the oldest for ${formatDuration(Math.max(1_000, Math.round(row.oldestMs / 1_000) * 1_000))}`}
            </span>
          </span>
          <span
            className={row.isStuck ? 'lineEnd isBad' : 'lineEnd'}
            data-tip={describeRate(row)}
            tabIndex={0}
          >
            {row.state}
          </span>
        </li>
      ))}
    </ul>
  )
}

/** Says `12 a minute start`, in a unit in which it is at least one. */
export function describeRate({ perSecond }: Pick<ConsoleBacklog, 'perSecond'>): string {
  if (perSecond === 0) return 'none starts'
  const [factor, unit] =
    perSecond >= 1 ? [1, 'a second'] : perSecond * 60 >= 1 ? [60, 'a minute'] : [3_600, 'an hour']
  const rate = (perSecond * factor).toLocaleString('en', { maximumSignificantDigits: 2 })
  return `${rate} ${unit} start`
}
