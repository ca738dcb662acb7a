import type { ConsoleAttention, ConsoleOverview } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { overviewQuery } from '../../api/queries.ts'
import { EndedChart } from '../../charts/EndedChart.tsx'
import { JobLink } from '../../parts/JobLink.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatDuration } from '../../time/formatDuration.ts'
import { formatClock } from '../../time/formatExact.ts'
import { AttentionList } from './AttentionList.tsx'
import { WorkerList } from './WorkerList.tsx'
import { describeOverview, describeRate, dueCount } from './describeOverview.ts'

export function OverviewScreen(): ReactNode {
  const { api } = useServices()
  const overview = useQuery(overviewQuery(api))
  return (
    <>
      <ScreenHeader
        title="Overview"
        isQuiet
        lead={
          overview.data === undefined ? (
            <Skeleton kind="sentence" />
          ) : (
            <OverviewSentence overview={overview.data} />
          )
        }
      />
      <QueryView query={overview} skeleton={<OverviewSkeleton />}>
        {(data) => <OverviewPanels overview={data} />}
      </QueryView>
    </>
  )
}

/** What names jobs whose work waits. */
const OF_BACKLOG: readonly ConsoleAttention['kind'][] = [
  'backlog',
  'noWorker',
  'paused',
  'keyBlocked',
]

function OverviewPanels({ overview }: { overview: ConsoleOverview }) {
  // The list above names jobs whose backlog needs somebody.
  const told = overview.attention.flatMap(({ kind, jobs }) =>
    OF_BACKLOG.includes(kind) ? jobs : [],
  )
  const backlog = overview.backlog.filter(({ name }) => !told.includes(name))
  return (
    <div className="columns">
      <div className="column">
        <Panel title="Needs attention">
          <AttentionList attention={overview.attention} />
        </Panel>
        {backlog.length > 0 && (
          <Panel title="Backlog">
            <Backlog backlog={backlog} />
          </Panel>
        )}
        <Panel title="Runs in the last day">
          <EndedChart
            title="Runs by hour"
            spans={overview.hours}
            lengthMs={HOUR_MS}
            versions={overview.versions}
          />
        </Panel>
      </div>
      <div className="column">
        <Panel title="Workers">
          <WorkerList workers={overview.workers} />
        </Panel>
        <Panel title="Next runs">
          <NextTicks ticks={overview.nextTicks} />
        </Panel>
      </div>
    </div>
  )
}

const HOUR_MS = 3_600_000

function OverviewSkeleton() {
  return (
    <div className="columns">
      <div className="column">
        <Skeleton kind="panel" count={2} />
      </div>
      <div className="column">
        <Skeleton kind="panel" count={2} />
      </div>
    </div>
  )
}

/** A line for each job: when it is due next. */
function NextTicks({ ticks }: { ticks: ConsoleOverview['nextTicks'] }) {
  if (ticks.length === 0) {
    return (
      <EmptyState title="Nothing is due">
        <p>
          Every schedule is paused, or there is none. <Link to="/jobs">View the jobs</Link>
        </p>
      </EmptyState>
    )
  }
  return (
    <ol className="lines">
      {ticks.map(({ name, at, timeZone }) => (
        <li key={name} className="lineItem">
          <JobLink name={name} className="isCut" />
          <span className="lineEnd">
            <span className="muted">{formatClock(at)}</span>
            <Moment at={at} timeZone={timeZone} isToCome />
          </span>
        </li>
      ))}
    </ol>
  )
}

const MARKS = {
  good: 'M4.5 12.5l5 5 10-11',
  warn: 'M12 5v8.5M12 17.5v.5',
  bad: 'M6 6l12 12M18 6L6 18',
} as const

/** The sentence that says whether all is well, with a mark and a colour for its tone. */
function OverviewSentence({ overview }: { overview: ConsoleOverview }) {
  const { text, tone } = describeOverview(overview)
  return (
    <p className={`sentence is-${tone}`}>
      <svg viewBox="0 0 24 24" width="28" height="28" aria-hidden="true">
        <circle cx="12" cy="12" r="12" className="sentenceGround" />
        <path d={MARKS[tone]} transform="translate(4.8 4.8) scale(.6)" />
      </svg>
      <span>{text}</span>
    </p>
  )
}

/** What waits, and why. */
function Backlog({ backlog }: { backlog: ConsoleOverview['backlog'] }) {
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
