import type { WaitingWork } from '@roundsman/admin/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { BulkButton } from '../../actions/ActButton.tsx'
import type { Bulk } from '../../actions/bulk.ts'
import { useShowPayload } from '../../actions/ShowPayload.tsx'
import { useBulk } from '../../actions/useAction.ts'
import { workQuery, type PieceSearch, type WorkSearch } from '../../api/queries.ts'
import type { WaitingWorkPage } from '../../api/run.ts'
import { Button } from '../../parts/Button.tsx'
import { Count } from '../../parts/Count.tsx'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { SelectField } from '../../parts/Field.tsx'
import { JobLink } from '../../parts/JobLink.tsx'
import { Menu } from '../../parts/Menu.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Pager } from '../../parts/Pager.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { SelectionBar } from '../../parts/SelectionBar.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useSelection } from '../../parts/useSelection.ts'
import { useServices } from '../../services/useServices.ts'
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
        <Moment at={startAfter} isToCome />
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
    cell: ({ attempts, workId, name }) =>
      attempts > 0 && (
        <Link to="/runs" search={{ workId }} aria-label={`${attempts}, the runs of ${name}`}>
          {attempts}
        </Link>
      ),
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
        <ActsOnAll page={page.isPlaceholderData ? undefined : page.data} filter={filter} />
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
                <Rows work={work} filter={filter} />
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

/** The actions on all that match, on all pages. They stay where they are while the queue drains. */
function ActsOnAll(props: { page: WaitingWorkPage | undefined; filter: PieceSearch }) {
  const { page, filter } = props
  const act = useBulk()
  if (act === null) return null
  const { total = 0, isTotalCut = false, names = [], isLabelPart = false } = page ?? {}
  const all = {
    count: total,
    isMore: isTotalCut,
    about: [ofJobs(names), ...describeFilter(filter, isLabelPart)].join(' '),
    which: bulkFilter(filter, isLabelPart),
  }
  const number = total.toLocaleString('en')
  return (
    <>
      <Button
        look="isDangerous"
        disabled={total === 0}
        onClick={() => act({ what: 'cancelWork', ...all })}
      >
        Cancel all {number}
      </Button>
      <Menu
        label="More actions on all that match"
        items={
          total === 0
            ? []
            : CHANGES.map(([what, words]) => ({
                label: words.replace('$', `all ${number}`),
                onChoose: () => act({ what, ...all }),
              }))
        }
      />
    </>
  )
}

const CHANGES = [
  ['startWork', 'Start $ now'],
  ['postponeWork', 'Postpone $'],
  ['prioritiseWork', 'Change the priority of $'],
] as const

const ofJobs = (names: readonly string[]) =>
  names.length === 1 ? `of ${names[0]}` : `of ${names.length} jobs`

/** The rows, and what can be done with those that are checked. */
function Rows({ work, filter }: { work: readonly WaitingWork[]; filter: PieceSearch }) {
  const act = useBulk()
  const selection = useSelection(
    work.map(({ workId }) => workId),
    JSON.stringify(filter),
  )
  const chosen = work.filter(({ workId }) => selection.has(workId))
  const of = {
    count: selection.count,
    about: ofJobs([...new Set(chosen.map((each) => each.name))]),
    which: { ids: selection.keys() },
  }
  return (
    <>
      {act !== null && (
        <SelectionBar selection={selection}>
          {chosen.some(({ isDue }) => !isDue) && (
            <BulkButton bulk={{ what: 'startWork', ...of }}>Start {of.count} now</BulkButton>
          )}
          <BulkButton bulk={{ what: 'postponeWork', ...of }}>Postpone {of.count}</BulkButton>
          <BulkButton bulk={{ what: 'prioritiseWork', ...of }}>
            Change the priority of {of.count}
          </BulkButton>
          <BulkButton look="isDangerous" bulk={{ what: 'cancelWork', ...of }}>
            Cancel {of.count}
          </BulkButton>
        </SelectionBar>
      )}
      <DataTable
        caption="Waiting work"
        columns={COLUMNS}
        rows={work}
        keyOf={({ workId }) => workId}
        nameOf={(each) => `${each.name} ${each.label ?? ''}, due ${each.startAfter}`}
        {...(act !== null && { selection })}
      />
    </>
  )
}

/** What can be done with one piece of waiting work. */
export function WorkMenu({
  work: { name, workId, label, isDue },
}: {
  work: Pick<WaitingWork, 'name' | 'workId' | 'label' | 'isDue'>
}) {
  const act = useBulk()
  const showPayload = useShowPayload()
  const item = (label: string, what: Bulk['what']) =>
    act !== null && {
      label,
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
