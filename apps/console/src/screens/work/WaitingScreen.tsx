import type { WaitingWork } from '@roundsman/admin/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { Bulk } from '../../actions/bulk.ts'
import { useShowPayload } from '../../actions/ShowPayload.tsx'
import { useBulk } from '../../actions/useAction.ts'
import { workQuery, type WorkSearch } from '../../api/queries.ts'
import { Count } from '../../parts/Count.tsx'
import type { Column } from '../../parts/DataTable.tsx'
import { Due } from '../../parts/Due.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { SelectField } from '../../parts/Field.tsx'
import { JobLink } from '../../parts/JobLink.tsx'
import { Menu } from '../../parts/Menu.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Pager } from '../../parts/Pager.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { ActsOnAll, Pieces, type PieceAct } from './PieceActs.tsx'
import { AttemptsLink } from './pieceColumns.tsx'
import { Groups, PieceFilters } from './PieceFilters.tsx'
import { bulkFilter, describeFilter } from './pieceSearch.ts'

const route = getRouteApi('/waiting')

const COLUMNS: readonly Column<WaitingWork>[] = [
  {
    header: 'Job',
    isRowHeader: true,
    isFull: true,
    isPlain: true,
    cell: ({ name, workId }) => (
      <>
        <JobLink name={name} />{' '}
        <Link
          to="/waiting/$id"
          params={{ id: workId }}
          data-row-link
          className="rowLink"
          aria-label={`Why this work of ${name} waits`}
        >
          Why?
        </Link>
      </>
    ),
  },
  {
    header: 'Label',
    isWide: true,
    isEmpty: ({ label, key }) => label === null && (key ?? '') === '',
    cell: ({ name, label, key }) => (
      <>
        {label !== null && <span className="isWrapped">{label}</span>}
        {key !== null && key !== '' && (
          <Link
            to="/jobs/$name/keys"
            params={{ name }}
            search={{ key }}
            className="isCut isBlock small"
            title={key}
            aria-label={`The key ${key}`}
          >
            {key}
          </Link>
        )}
      </>
    ),
  },
  {
    header: 'Due',
    cell: ({ startAfter, expiresAt }) => (
      <span className="stacked">
        <Due at={startAfter} />
        {expiresAt !== null && (
          <span className="muted small">
            expires <Moment at={expiresAt} isToCome />
          </span>
        )}
      </span>
    ),
  },
  {
    header: 'Attempts',
    align: 'end',
    isEmpty: ({ attempts }) => attempts === 0,
    cell: (work) => work.attempts > 0 && <AttemptsLink {...work} />,
  },
  {
    header: 'Priority',
    align: 'end',
    isEmpty: ({ priority }) => priority === 0,
    cell: ({ priority }) => priority !== 0 && priority.toLocaleString('en'),
  },
  {
    header: 'Unique key',
    isEmpty: ({ hasUniqueKey }) => !hasUniqueKey,
    cell: ({ hasUniqueKey }) => hasUniqueKey && <span className="badge">Yes</span>,
  },
  { header: 'Actions', isPlain: true, isMenu: true, cell: (work) => <WorkMenu work={work} /> },
]

/** Work that waits for a worker or for its time, and the actions on it. */
export function WaitingScreen(): ReactNode {
  const { api } = useServices()
  const { order, cursor, ...filter } = route.useSearch()
  const navigate = route.useNavigate()
  const page = useQuery({
    ...workQuery(api, { ...filter, order, cursor }),
    placeholderData: keepPreviousData,
  })
  const show = (search: WorkSearch) => void navigate({ to: '/waiting', search, replace: true })
  const shown = page.isPlaceholderData ? undefined : page.data
  const { total = 0, isTotalCut = false, names = [], isLabelPart = false } = shown ?? {}
  const isNarrowed = Object.values({ ...filter, cursor }).some((one) => one !== undefined)
  return (
    <>
      <ScreenHeader
        title="Waiting"
        lead={
          page.data === undefined ? (
            <Skeleton kind="line" />
          ) : (
            <p className="muted">
              <Count value={page.data.total} isCut={page.data.isTotalCut} /> waiting
            </p>
          )
        }
      >
        <ActsOnAll
          acts={ACTS}
          all={{
            count: total,
            isMore: isTotalCut,
            about: [ofJobs(names), ...describeFilter(filter, isLabelPart)].join(' '),
            which: bulkFilter(filter, isLabelPart),
          }}
        />
      </ScreenHeader>
      <PieceFilters
        of="work"
        filter={filter}
        names={page.data?.names ?? []}
        onChange={(next) => show({ ...next, order })}
      >
        <SelectField
          label="Order"
          value={order ?? ''}
          onChange={({ target }) =>
            show({ ...filter, order: target.value === 'last' ? 'last' : undefined })
          }
        >
          <option value="">First to start</option>
          <option value="last">Last to start</option>
        </SelectField>
      </PieceFilters>
      <div className="panel isFlush">
        <Groups
          of="work"
          filter={filter}
          linkTo={(search) => ({ to: '/waiting', search: { ...search, order } })}
        />
        <QueryView query={page} skeleton={<Skeleton kind="row" count={3} />}>
          {({ work, nextCursor }) => (
            <>
              {work.length > 0 ? (
                <Pieces
                  caption="Waiting work"
                  columns={COLUMNS}
                  rows={work}
                  nameOf={(each) => `${each.name} ${each.label ?? ''}, due ${each.startAfter}`}
                  acts={ACTS}
                  scope={JSON.stringify(filter)}
                  about={(checked) => ofJobs([...new Set(checked.map(({ name }) => name))])}
                />
              ) : isNarrowed ? (
                <EmptyState title="No waiting work matches">
                  <p>
                    <Link to="/waiting">Show all waiting work</Link>
                  </p>
                </EmptyState>
              ) : (
                <EmptyState title="Nothing waits">
                  <p>
                    Work is listed here until a worker starts it: new, delayed, or to be retried.
                  </p>
                </EmptyState>
              )}
              <Pager
                label="Pages of waiting work"
                cursor={cursor}
                nextCursor={nextCursor}
                words={order === 'last' ? ['Due last', 'Due earlier'] : ['First due', 'Due later']}
                pageAt={(at) => ({ to: '/waiting', search: { ...filter, order, cursor: at } })}
              />
            </>
          )}
        </QueryView>
      </div>
    </>
  )
}

const ACTS: readonly PieceAct<WaitingWork>[] = [
  { what: 'startWork', words: 'Start $ now', isSeldom: true, isFor: ({ isDue }) => !isDue },
  { what: 'postponeWork', words: 'Postpone $', isSeldom: true },
  { what: 'prioritiseWork', words: 'Change the priority of $', isSeldom: true },
  { what: 'cancelWork', words: 'Cancel $', look: 'isDangerous' },
]

const ofJobs = (names: readonly string[]) =>
  names.length === 1 ? `of ${names[0]}` : `of ${names.length} jobs`

/** What can be done with one piece of waiting work. */
export function WorkMenu({
  work: { name, workId, label, isDue },
}: {
  work: Pick<WaitingWork, 'name' | 'workId' | 'label' | 'isDue'>
}) {
  const act = useBulk()
  const showPayload = useShowPayload()
  const item = (words: string, what: Bulk['what']) =>
    act !== null && {
      label: words,
      isDangerous: what === 'cancelWork',
      onChoose: () => act({ what, count: 1, about: `of ${name}`, which: { ids: [workId] } }),
    }
  return (
    <Menu
      label={`Actions for ${label ?? `this work of ${name}`}`}
      items={[
        !isDue && item('Start now', 'startWork'),
        item('Postpone', 'postponeWork'),
        item('Change the priority', 'prioritiseWork'),
        showPayload !== null && {
          label: 'Show payload',
          onChoose: () => showPayload({ of: `work/${workId}`, name }),
        },
        item('Cancel', 'cancelWork'),
      ]}
    />
  )
}
