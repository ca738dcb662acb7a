import type { KeyedSchedule } from '@roundsman/admin/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useAction } from '../../actions/useAction.ts'
import { SCHEDULE_STATES, schedulesQuery, type ScheduleSearch } from '../../api/queries.ts'
import { ButtonLink } from '../../parts/Button.tsx'
import { Count } from '../../parts/Count.tsx'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { SelectField } from '../../parts/Field.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Pager } from '../../parts/Pager.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { TextFilter } from '../runs/TextFilter.tsx'
import { ScheduleState } from './ScheduleState.tsx'
import { TickOutcome } from './TickOutcome.tsx'

const route = getRouteApi('/jobs/$name/schedules')

/** A job's schedules that are kept as data, by key. */
export function SchedulesScreen(): ReactNode {
  const { api } = useServices()
  const { name } = route.useParams()
  const search = route.useSearch()
  const act = useAction()
  const schedules = useQuery({
    ...schedulesQuery(api, name, search),
    placeholderData: keepPreviousData,
  })
  const total = schedules.data?.total
  return (
    <>
      <ScreenHeader
        title={`Schedules of ${name}`}
        lead={
          <p className="muted">
            <Link to="/jobs/$name" params={{ name }}>
              The job
            </Link>
            {total !== undefined && (
              <>
                {' · '}
                <Count value={total.count} isCut={total.isCut} />{' '}
                {total.count === 1 ? 'schedule' : 'schedules'}
              </>
            )}
          </p>
        }
      >
        {act !== null && (
          <ButtonLink to="/jobs/$name/new-schedule" params={{ name }}>
            Add a schedule
          </ButtonLink>
        )}
      </ScreenHeader>
      <Filters search={search} />
      <div className="panel isFlush">
        <QueryView query={schedules} skeleton={<Skeleton kind="row" count={8} />}>
          {({ schedules: rows, nextCursor }) => (
            <>
              {rows.length === 0 ? (
                <NoSchedules name={name} search={search} />
              ) : (
                <DataTable
                  caption={`Schedules of ${name}`}
                  columns={COLUMNS}
                  rows={rows}
                  keyOf={({ key }) => key}
                />
              )}
              <Pager
                label="Pages of schedules"
                cursor={search.cursor}
                nextCursor={nextCursor}
                words={['First', 'Next']}
                pageAt={(at) => ({
                  to: '/jobs/$name/schedules',
                  params: { name },
                  search: { ...search, cursor: at },
                })}
              />
            </>
          )}
        </QueryView>
      </div>
    </>
  )
}

const STATE_WORDS = {
  paused: 'Paused',
  refused: 'Payload refused',
  late: 'Late',
} as const satisfies Record<(typeof SCHEDULE_STATES)[number], string>

function Filters({ search }: { search: ScheduleSearch }) {
  const navigate = route.useNavigate()
  const change = (changed: ScheduleSearch) =>
    void navigate({ search: { ...search, cursor: undefined, ...changed }, replace: true })
  return (
    <form
      className="filters"
      aria-label="Filter schedules"
      onSubmit={(event) => event.preventDefault()}
    >
      <div className="filterRow">
        <TextFilter
          label="Key begins with"
          value={search.search ?? ''}
          placeholder="customer-"
          onChange={(text) => change({ search: text === '' ? undefined : text })}
        />
        <SelectField
          label="State"
          value={search.state ?? ''}
          data-filter
          onChange={({ target }) =>
            change({ state: SCHEDULE_STATES.find((state) => state === target.value) })
          }
        >
          <option value="">All</option>
          {SCHEDULE_STATES.map((state) => (
            <option key={state} value={state}>
              {STATE_WORDS[state]}
            </option>
          ))}
        </SelectField>
      </div>
    </form>
  )
}

function NoSchedules({ name, search }: { name: string; search: ScheduleSearch }) {
  if (Object.values(search).some((value) => value !== undefined)) {
    return (
      <EmptyState title="No schedules match">
        <p>
          <Link to="/jobs/$name/schedules" params={{ name }}>
            Show all schedules
          </Link>
        </p>
      </EmptyState>
    )
  }
  return (
    <EmptyState title="There are no schedules by key yet">
      <p>A program or a person adds one for each customer, or whatever it is about.</p>
    </EmptyState>
  )
}

const COLUMNS: readonly Column<KeyedSchedule>[] = [
  {
    header: 'Key',
    isRowHeader: true,
    isPlain: true,
    isFull: true,
    cell: ({ name, key }) => (
      <Link
        to="/jobs/$name/schedules/$key"
        params={{ name, key }}
        data-row-link
        className="strongLink rowLink isWrapped"
      >
        {key}
      </Link>
    ),
  },
  { header: 'State', isPlain: true, cell: (schedule) => <ScheduleState schedule={schedule} /> },
  {
    header: 'Schedule',
    isPlain: true,
    isWide: true,
    isFull: true,
    cell: ({ words, cron }) => (
      <span className="isCut isBlock" title={cron}>
        {words} <code className="muted">{cron}</code>
      </span>
    ),
  },
  { header: 'Time zone', isFull: true, cell: ({ timeZone }) => timeZone },
  {
    header: 'Next',
    cell: ({ nextAt, paused, timeZone }) =>
      nextAt === null || paused !== null ? (
        <span className="muted">–</span>
      ) : (
        <Moment at={nextAt} timeZone={timeZone} isToCome />
      ),
  },
  {
    header: 'Last',
    cell: ({ lastTick, timeZone }) =>
      lastTick === null ? (
        <span className="muted">None on record</span>
      ) : (
        <>
          <TickOutcome tick={lastTick} />{' '}
          <Moment at={lastTick.through ?? lastTick.scheduledFor} timeZone={timeZone} />
        </>
      ),
  },
]
