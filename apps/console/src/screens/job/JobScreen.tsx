import type { ConsoleJob, ConsoleJobDetail, ConsoleQueueJob } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { ActButton } from '../../actions/ActButton.tsx'
import { useAction } from '../../actions/useAction.ts'
import { ApiError } from '../../api/apiError.ts'
import { jobQuery, overviewQuery } from '../../api/queries.ts'
import { RunStrip } from '../../charts/RunStrip.tsx'
import { TICK_KINDS, TICK_WORDS } from '../../charts/tickKind.ts'
import { TickStrip } from '../../charts/TickStrip.tsx'
import { ActionLog } from '../../parts/ActionLog.tsx'
import { Count, isWaitingCut } from '../../parts/Count.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { QueuePause } from '../queue/QueuePause.tsx'
import { AttentionList } from '../overview/AttentionList.tsx'
import { JobCharts } from './JobCharts.tsx'
import { Policies } from './Policies.tsx'
import { UpcomingTicks } from './UpcomingTicks.tsx'

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
        <Link to="/runs" search={{ name }} className="button isSmall isQuiet">
          All its runs
        </Link>
      </ScreenHeader>
      <QueryView
        query={detail}
        skeleton={
          <>
            <Skeleton kind="panel" />
            <Skeleton kind="panel" />
          </>
        }
      >
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

/** The actions on a job. */
function JobActions({ job }: { job: ConsoleJob }) {
  const act = useAction()
  if (act === null) return null
  const { name, schedule, paused, dryRun } = job
  return (
    <div
      className="jobActions"
      role="group"
      aria-label={`Actions for ${name}`}
      data-focus-home="control"
    >
      <ActButton aria-label={`Run now: ${name}`} action={{ kind: 'run', name, dryRun: false }}>
        Run now
      </ActButton>
      {dryRun && (
        <ActButton aria-label={`Dry run: ${name}`} action={{ kind: 'run', name, dryRun: true }}>
          Dry run
        </ActButton>
      )}
      {/* One button for both: it keeps the focus when its meaning changes. */}
      {(schedule !== null || paused !== null) && (
        <ActButton
          look={paused === null ? undefined : 'isPrimary'}
          aria-label={`${paused === null ? 'Pause' : 'Resume'} schedule: ${name}`}
          action={{ kind: paused === null ? 'pause' : 'resume', name }}
        >
          {paused === null ? 'Pause schedule' : 'Resume schedule'}
        </ActButton>
      )}
    </div>
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
  const { job, queue, upcoming, isCut, actions, schedules } = detail
  const act = useAction()
  return (
    <div className="columns">
      <div className="column">
        <Panel title={job.schedule ? 'Last 60 ticks' : 'Last 60 runs'}>
          {job.schedule ? (
            <>
              <TickStrip name={name} ticks={job.ticks} timeZone={job.schedule.timeZone} />
              {job.ticks.length > 0 && <TickLegend />}
            </>
          ) : (
            <RunStrip name={name} runs={job.recentRuns} />
          )}
        </Panel>
        <JobCharts name={name} detail={detail} />
      </div>
      <div className="column">
        <Panel title="Queue">
          <JobQueue queue={queue} />
        </Panel>
        <Panel title="Policies">
          <Policies job={job} change={detail.scheduleChange} />
        </Panel>
        {job.schedule && (
          <Panel
            title="Next 30 days"
            aside={<span className="muted">{job.schedule.timeZone}</span>}
          >
            <UpcomingTicks upcoming={upcoming} isCut={isCut} isPaused={job.paused !== null} />
          </Panel>
        )}
        {(schedules.count > 0 || act !== null) && (
          <Panel title="Schedules by key">
            <SchedulesByKey name={name} total={schedules} />
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

/** What the queue holds of the job, and whether workers take it. */
function JobQueue({ queue }: { queue: ConsoleQueueJob }) {
  const { name, waiting, delayed, active, deadLetters, oldestWaitingAt } = queue
  return (
    <div className="jobQueue">
      <p>
        {waiting === 0 ? (
          'Nothing waits'
        ) : (
          <Link to="/queue" search={{ work: name }}>
            <Count value={waiting} isCut={isWaitingCut(queue)} /> waiting
          </Link>
        )}
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
        {active > 0 && (
          <>
            ,{' '}
            <Link to="/runs" search={{ name, status: 'running' }}>
              <Count value={active} /> running
            </Link>
          </>
        )}
        {deadLetters > 0 && (
          <>
            ,{' '}
            <Link to="/queue" search={{ name }}>
              <Count value={deadLetters} /> {deadLetters === 1 ? 'dead letter' : 'dead letters'}
            </Link>
          </>
        )}
      </p>
      <QueuePause job={queue} />
    </div>
  )
}

/** The schedules that are kept as data, such as one for each customer. */
function SchedulesByKey({ name, total }: { name: string; total: ConsoleJobDetail['schedules'] }) {
  const act = useAction()
  return (
    <p>
      {total.count === 0 ? (
        <span className="muted">None, such as one for each customer. </span>
      ) : (
        <>
          <Link to="/jobs/$name/schedules" params={{ name }}>
            <Count value={total.count} isCut={total.isCut} />{' '}
            {total.count === 1 ? 'schedule' : 'schedules'}
          </Link>
          {act !== null && ' · '}
        </>
      )}
      {act !== null && (
        <Link to="/jobs/$name/new-schedule" params={{ name }}>
          Add one
        </Link>
      )}
    </p>
  )
}

/** Explains the shapes of a strip. */
function TickLegend() {
  return (
    <ul className="legend" aria-label="What the marks mean">
      {TICK_KINDS.map((kind) => (
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
