import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useAction } from '../../actions/useAction.ts'
import { scheduleQuery } from '../../api/queries.ts'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { ScheduleForm } from './ScheduleForm.tsx'

const ofJob = getRouteApi('/jobs/$name/new-schedule')
const ofKey = getRouteApi('/jobs/$name/schedules/$key/change')

/** A form that makes a schedule of a job. */
export function NewScheduleScreen(): ReactNode {
  const { name } = ofJob.useParams()
  return (
    <Screen
      title={`Add a schedule of ${name}`}
      lead={
        <Link to="/jobs/$name/schedules" params={{ name }}>
          Its schedules
        </Link>
      }
    >
      <ScheduleForm name={name} />
    </Screen>
  )
}

/** The same form for a schedule that there is. */
export function ChangeScheduleScreen(): ReactNode {
  const { api } = useServices()
  const { name, key } = ofKey.useParams()
  // What somebody else changes meanwhile must not change what is being typed: the server tells when it is sent.
  const detail = useQuery({ ...scheduleQuery(api, { name, key }), staleTime: Infinity, gcTime: 0 })
  return (
    <Screen
      title={`Change ${key}`}
      lead={
        <Link to="/jobs/$name/schedules/$key" params={{ name, key }}>
          The schedule
        </Link>
      }
    >
      <QueryView query={detail} skeleton={<Skeleton kind="panel" />}>
        {({ schedule }) =>
          schedule === null ? (
            <EmptyState title="This schedule was deleted" />
          ) : (
            <ScheduleForm name={name} schedule={schedule} />
          )
        }
      </QueryView>
    </Screen>
  )
}

function Screen({
  title,
  lead,
  children,
}: {
  title: string
  lead: ReactNode
  children: ReactNode
}) {
  const act = useAction()
  return (
    <>
      <ScreenHeader title={title} lead={<p className="muted">{lead}</p>} />
      {act === null ? (
        <EmptyState title="You may look at schedules but not change them" />
      ) : (
        children
      )}
    </>
  )
}
