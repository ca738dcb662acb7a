import type {
  ConsoleJob,
  ConsoleJobDetail,
  ConsoleQueueJob,
  ConsoleTick,
} from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { ActButton } from '../../actions/ActButton.tsx'
import { ApiError } from '../../api/apiError.ts'
import { jobQuery, overviewQuery } from '../../api/queries.ts'
import { RunStrip } from '../../charts/RunStrip.tsx'
import { TICK_KINDS, TICK_WORDS, tickKind } from '../../charts/tickKind.ts'
import { TickStrip } from '../../charts/TickStrip.tsx'
import { ActionLog } from '../../parts/ActionLog.tsx'
import { Count } from '../../parts/Count.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { JobMenu } from '../jobs/JobMenu.tsx'
import { AttentionList } from '../overview/AttentionList.tsx'
import { QueueState } from '../queue/QueueState.tsx'
import { NextRuns } from '../schedule/NextRuns.tsx'
import { JobCharts } from './JobCharts.tsx'
import { Policies } from './Policies.tsx'

const route = getRouteApi('/jobs/$name')

export function JobScreen(): ReactNode {
  const { api } = useServices()
  const { name } = route.useParams()
  const detail = useQuery(jobQuery(api, name))

  if (detail.error instanceof ApiError && detail.error.status === 404) {
    return (
      <>
        <ScreenHeader title={name} />
        <EmptyState title="There is no job with this name">
          <p>
            It may have left the catalogue. <Link to="/jobs">All jobs</Link> ·{' '}
            <Link to="/runs" search={{ name }}>
              Its past runs
            </Link>
          </p>
        </EmptyState>
      </>
    )
  }
  return (
    <>
      <ScreenHeader
        title={name}
        lead={
          detail.data === undefined ? (
            <Skeleton kind="line" />
          ) : (
            <p className="muted">{detail.data.job.description}</p>
          )
        }
      >
        {detail.data && <JobActions job={detail.data.job} />}
      </ScreenHeader>
      <QueryView query={detail} skeleton={<Skeleton kind="panel" count={2} />}>
        {(data) => (
          <>
            <JobAttention name={name} />
            <StillDue detail={data} />
            <JobPanels name={name} detail={data} />
          </>
        )}
      </QueryView>
    </>
  )
}

/** The actions on a job: what is paused has its button, and everything else is in the menu. */
function JobActions({ job }: { job: ConsoleJob }) {
  const { name, paused, queuePaused } = job
  return (
    <>
      {paused !== null && (
        <ActButton look="isPrimary" action={{ kind: 'resume', name }}>
          Resume the schedule
        </ActButton>
      )}
      {queuePaused !== null && (
        <ActButton look="isPrimary" action={{ kind: 'resumeQueue', name }}>
          Resume the queue
        </ActButton>
      )}
      <ActButton action={{ kind: 'run', name, dryRun: false }}>Run now</ActButton>
      <JobMenu job={job} />
    </>
  )
}

/** What of the overview is about the job. */
function JobAttention({ name }: { name: string }) {
  const { api } = useServices()
  const { data } = useQuery(overviewQuery(api))
  const about = data?.attention.filter(({ jobs }) => jobs.includes(name)) ?? []
  if (about.length === 0) return null
  return (
    <Panel title="Needs attention">
      <AttentionList attention={about} />
    </Panel>
  )
}

/** Says what the last run left: it succeeded, and nothing else shows that others hold what is due. */
function StillDue({ detail: { job, counted } }: { detail: ConsoleJobDetail }) {
  const last = counted.at(-1)
  const rows = last?.stillDue ?? '0'
  if (last === undefined || last.id !== job.lastRun?.id || rows === '0') return null
  return (
    <section className="problem isMild" aria-label="Still due">
      <p>
        <Link to="/runs/$id" params={{ id: last.id }}>
          Its last run
        </Link>{' '}
        passed over {/^\d+$/.test(rows) ? Number(rows).toLocaleString('en') : rows} due{' '}
        {rows === '1' ? 'row, since others had it locked' : 'rows, since others had them locked'}.
      </p>
    </section>
  )
}

function JobPanels({ name, detail }: { name: string; detail: ConsoleJobDetail }) {
  const { job, queue, upcoming, actions, schedules } = detail
  return (
    <div className="columns">
      <div className="column">
        <Panel title={job.schedule ? 'Last 60 ticks' : 'Last 60 runs'}>
          {job.schedule ? (
            <>
              <TickStrip name={name} ticks={job.ticks} timeZone={job.schedule.timeZone} />
              {job.ticks.length > 0 && <TickLegend ticks={job.ticks} />}
            </>
          ) : (
            <RunStrip name={name} runs={job.recentRuns} />
          )}
        </Panel>
        <JobCharts name={name} detail={detail} />
      </div>
      <div className="column">
        {isTold(queue) && (
          <Panel title="Queue">
            <JobQueue queue={queue} />
          </Panel>
        )}
        <Panel title="Policies">
          <Policies job={job} change={detail.scheduleChange} />
        </Panel>
        {upcoming.length > 0 && job.schedule && (
          <Panel title="Next runs">
            <NextRuns upcoming={upcoming} timeZone={job.schedule.timeZone} />
          </Panel>
        )}
        {schedules.count > 0 && (
          <Panel title="Schedules by key">
            <Link to="/jobs/$name/schedules" params={{ name }}>
              <Count value={schedules.count} isCut={schedules.isCut} />{' '}
              {schedules.count === 1 ? 'schedule' : 'schedules'}
            </Link>
          </Panel>
        )}
        {actions.length > 0 && (
          <Panel title="Activity">
            <ActionLog actions={actions} />
          </Panel>
        )}
      </div>
    </div>
  )
}

/** Whether the page shows its queue. */
function isTold({
  waiting,
  active,
  deadLetters,
  queuePaused,
  isUntaken,
}: ConsoleQueueJob): boolean {
  return waiting + active + deadLetters > 0 || queuePaused !== null || isUntaken
}

/** What the queue holds of the job, and whether workers take it. */
function JobQueue({ queue }: { queue: ConsoleQueueJob }) {
  const { name, waiting, delayed, active, deadLetters, oldestWaitingAt } = queue
  return (
    <div className="stacked">
      {waiting > 0 && (
        <span>
          <Link to="/waiting" search={{ name }}>
            <Count value={waiting} isCut={queue.isWaitingCut} /> waiting
          </Link>
          {delayed > 0 && (
            <>
              {' '}
              (<Count value={delayed} /> of them for later)
            </>
          )}
          {oldestWaitingAt !== null && (
            <>
              , the oldest due <Moment at={oldestWaitingAt} isToCome />
            </>
          )}
        </span>
      )}
      {active > 0 && (
        <Link to="/runs" search={{ name, status: 'running' }}>
          <Count value={active} /> running
        </Link>
      )}
      {deadLetters > 0 && (
        <Link to="/dead-letters" search={{ name }}>
          <Count value={deadLetters} isCut={queue.areDeadLettersCut} />{' '}
          {deadLetters === 1 ? 'dead letter' : 'dead letters'}
        </Link>
      )}
      <QueueState queue={queue} />
    </div>
  )
}

/** Explains the shapes of a strip. */
function TickLegend({ ticks }: { ticks: readonly ConsoleTick[] }) {
  const seen = new Set(ticks.map(tickKind))
  return (
    <ul className="legend" aria-label="What the marks mean">
      {TICK_KINDS.filter((kind) => seen.has(kind)).map((kind) => (
        <li key={kind}>
          <span className="stripPlace" aria-hidden="true">
            <i className={`mark is-${kind}`} />
          </span>
          {TICK_WORDS[kind]}
        </li>
      ))}
    </ul>
  )
}
