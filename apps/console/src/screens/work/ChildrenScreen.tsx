import type { StepChildren } from '@roundsman/admin/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { childrenQuery } from '../../api/queries.ts'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { SelectField } from '../../parts/Field.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Pager } from '../../parts/Pager.tsx'
import { ProgressBar } from '../../parts/ProgressBar.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { StatusMark } from '../../parts/StatusMark.tsx'
import { useServices } from '../../services/useServices.ts'

type Child = StepChildren['children'][number]

const route = getRouteApi('/waiting/$id/children')

const STATES = {
  left: ['suspended', 'Left'],
  done: ['success', 'Done'],
  failed: ['failed', 'Failed'],
} as const

const COLUMNS: readonly Column<Child>[] = [
  {
    header: 'Work',
    isRowHeader: true,
    isPlain: true,
    isWide: true,
    cell: ({ workId, at, label }) => (
      <Link to="/waiting/$id" params={{ id: workId }} data-row-link className="strongLink rowLink">
        {label ?? `Number ${(at + 1).toLocaleString('en')}`}
      </Link>
    ),
  },
  {
    header: 'State',
    isPlain: true,
    cell: ({ state }) => <StatusMark status={STATES[state][0]} label={STATES[state][1]} />,
  },
  {
    header: 'Error',
    isEmpty: ({ errorCode }) => errorCode === null,
    cell: ({ errorCode }) => errorCode !== null && <code>{errorCode}</code>,
  },
  {
    header: 'Ended',
    isEmpty: ({ endedAt }) => endedAt === null,
    cell: ({ endedAt }) => endedAt !== null && <Moment at={endedAt} />,
  },
]

/** The pieces of work that a step has enqueued and waits for. */
export function ChildrenScreen(): ReactNode {
  const { api } = useServices()
  const { id } = route.useParams()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const { step = '', item, state, cursor } = search
  const of = { step, item }
  const children = useQuery({
    ...childrenQuery(api, id, search),
    placeholderData: keepPreviousData,
  })
  const { data } = children
  return (
    <>
      <ScreenHeader
        title={`Work of step ${step}${item === undefined ? '' : ` ${item}`}`}
        lead={
          <p className="muted">
            {data && (
              <>
                <ProgressBar
                  progress={{ done: data.count - data.left, total: data.count }}
                  label={`Work of ${data.job}`}
                />
                , {data.failed.toLocaleString('en')} failed, {data.left.toLocaleString('en')}{' '}
                left.{' '}
              </>
            )}
            <Link to="/waiting/$id" params={{ id }}>
              The work that waits for it
            </Link>
          </p>
        }
      />
      <form className="filters" onSubmit={(event) => event.preventDefault()}>
        <div className="filterRow">
          <SelectField
            label="State"
            value={state ?? ''}
            data-filter
            onChange={({ target }) =>
              void navigate({
                search: { ...of, ...(target.value !== '' && { state: target.value }) } as never,
                replace: true,
              })
            }
          >
            <option value="">All</option>
            {Object.entries(STATES).map(([value, [, words]]) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
          </SelectField>
        </div>
      </form>
      <div className="panel isFlush">
        <QueryView
          query={children}
          skeleton={<Skeleton kind="row" count={3} />}
          isOld={children.isPlaceholderData}
        >
          {(page) => (
            <>
              {page.children.length > 0 ? (
                <DataTable
                  caption="Work of the step"
                  columns={COLUMNS}
                  rows={page.children}
                  keyOf={({ workId }) => workId}
                />
              ) : (
                <EmptyState title="None is in this state" />
              )}
              <Pager
                label="Pages of work"
                cursor={cursor}
                nextCursor={page.nextCursor}
                words={['First', 'Next']}
                pageAt={(at) => ({
                  to: '/waiting/$id/children',
                  params: { id },
                  search: { ...of, state, cursor: at },
                })}
              />
            </>
          )}
        </QueryView>
      </div>
    </>
  )
}
