import type { ConsoleJob } from '@roundsman/fastify/contract'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { ApiError } from '../../api/apiError.ts'
import { jobQuery } from '../../api/queries.ts'
import { BarChart, type Bar } from '../../charts/BarChart.tsx'
import { DurationChart } from '../../charts/DurationChart.tsx'
import { HeatMap } from '../../charts/HeatMap.tsx'
import { RunStrip } from '../../charts/RunStrip.tsx'
import { TickLegend } from '../../charts/TickLegend.tsx'
import { TickStrip } from '../../charts/TickStrip.tsx'
import { ActionLog } from '../../parts/ActionLog.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatDuration } from '../../time/formatDuration.ts'
import { formatShort } from '../../time/formatExact.ts'
import { JobActions } from '../jobs/JobActions.tsx'
import { Policies } from './Policies.tsx'
import { UpcomingTicks } from './UpcomingTicks.tsx'

const route = getRouteApi('/jobs/$name')

export function JobScreen(): ReactNode {
  const { api, clock } = useServices()
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
              Runs that it has left
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
        {({ job, days, duration, upcoming, isCut, actions }) => (
          <div className="columns">
            <div className="column">
              <Panel title={job.schedule ? 'Last 60 ticks' : 'Last 60 runs'}>
                {job.schedule ? (
                  <>
                    <TickStrip name={name} ticks={job.ticks} />
                    <TickLegend />
                  </>
                ) : (
                  <RunStrip name={name} runs={job.recentRuns} />
                )}
              </Panel>
              <Panel
                title="Durations"
                aside={
                  duration.p50Ms !== null && duration.p95Ms !== null ? (
                    <span>
                      p50 <strong>{formatDuration(duration.p50Ms)}</strong>, p95{' '}
                      <strong>{formatDuration(duration.p95Ms)}</strong>{' '}
                      <span className="muted">of {duration.runs.toLocaleString('en')} runs</span>
                    </span>
                  ) : undefined
                }
              >
                <DurationChart name={name} days={days} />
              </Panel>
              <Panel title="Rows cleaned per run">
                <CountsChart name={name} runs={job.recentRuns} />
              </Panel>
              <Panel
                title="A year of runs"
                aside={<span className="muted">days in UTC; × marks failures</span>}
              >
                <HeatMap name={name} days={days} now={clock.now()} />
              </Panel>
            </div>
            <div className="column">
              <Panel title="Policies">
                <Policies job={job} />
              </Panel>
              {job.schedule && (
                <Panel
                  title="Next 30 days"
                  aside={<span className="muted">{job.schedule.timeZone}</span>}
                >
                  <UpcomingTicks upcoming={upcoming} isCut={isCut} isPaused={job.paused !== null} />
                </Panel>
              )}
              <Panel title="What people did">
                <ActionLog actions={actions} />
              </Panel>
            </div>
          </div>
        )}
      </QueryView>
    </>
  )
}

const KINDS = [{ kind: 'plain', label: 'Rows' }] as const

function CountsChart({ name, runs }: { name: string; runs: ConsoleJob['recentRuns'] }) {
  const counted = runs.filter((run) => run.cleaned !== null)
  if (counted.length === 0) {
    return <p className="muted chartPlace">None of its last runs has counted any.</p>
  }
  const total = counted.reduce((sum, run) => sum + (run.cleaned ?? 0), 0)
  const bars = counted.map((run): Bar => ({
    key: run.id,
    label: null,
    name: formatShort(run.startedAt),
    tip: `${formatShort(run.startedAt)}\n${(run.cleaned ?? 0).toLocaleString('en')} rows`,
    parts: [{ kind: 'plain', value: run.cleaned ?? 0 }],
  }))
  return (
    <BarChart
      summary={`Rows cleaned by the last ${counted.length} runs of ${name}: ${total.toLocaleString('en')} in all`}
      bars={bars}
      ends={[bars[0]?.name ?? '', bars.at(-1)?.name ?? '']}
      kinds={KINDS}
    />
  )
}
