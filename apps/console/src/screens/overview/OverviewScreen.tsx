import type { ConsoleOverview } from '@roundsman/api/console'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { overviewQuery } from '../../api/queries.ts'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { AttentionList } from './AttentionList.tsx'
import { HoursChart } from './HoursChart.tsx'
import { NextTicks } from './NextTicks.tsx'
import { OverviewSentence } from './OverviewSentence.tsx'
import { WorkerList } from './WorkerList.tsx'

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

function OverviewPanels({ overview }: { overview: ConsoleOverview }) {
  return (
    <div className="columns">
      <div className="column">
        <Panel title="Needs attention">
          <AttentionList attention={overview.attention} />
        </Panel>
        <Panel title="Runs in the last day">
          <HoursChart hours={overview.hours} />
        </Panel>
      </div>
      <div className="column">
        <Panel title="Workers">
          <WorkerList workers={overview.workers} />
        </Panel>
        <Panel title="Next ticks">
          <NextTicks ticks={overview.nextTicks} />
        </Panel>
      </div>
    </div>
  )
}

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
