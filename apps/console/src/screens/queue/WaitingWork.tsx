import type { ConsoleQueue, WaitingWork as Work } from '@roundsman/admin/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useId } from 'react'
import { BulkButton } from '../../actions/ActButton.tsx'
import { ShowPayload } from '../../actions/ShowPayload.tsx'
import { useBulk } from '../../actions/useAction.ts'
import { groupsQuery, workQuery, type PieceSearch } from '../../api/queries.ts'
import { JobLink } from '../../parts/JobLink.tsx'
import { InlineSelect } from '../../parts/InlineSelect.tsx'
import { Count, isWaitingCut, MAX_COUNTED } from '../../parts/Count.tsx'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Pager } from '../../parts/Pager.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { SelectionBar } from '../../parts/SelectionBar.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useSelection } from '../../parts/useSelection.ts'
import { useShownWhen } from '../../parts/useShownWhen.ts'
import { useServices } from '../../services/useServices.ts'
import { bulkFilter, describeFilter, narrow, type GroupedBy } from './pieceSearch.ts'
import { Groups } from './Groups.tsx'

const route = getRouteApi('/queue')

const COLUMNS: readonly Column<Work>[] = [
  {
    header: 'Job',
    isRowHeader: true,
    isFull: true,
    isPlain: true,
    cell: ({ name }) => <JobLink name={name} data-row-link />,
  },
  {
    header: 'Label',
    isWide: true,
    isEmpty: ({ label, key }) => label === null && (key ?? '') === '',
    cell: ({ name, label, key }) => (
      <>
        {label === null ? null : <span className="isWrapped">{label}</span>}
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
        {label === null && (key ?? '') === '' && <span className="muted">–</span>}
      </>
    ),
  },
  {
    header: 'Due',
    cell: ({ startAfter, expiresAt, workId, name }) => (
      <span className="stacked">
        <span>
          <Moment at={startAfter} isToCome />{' '}
          <Link
            to="/queue/$id"
            params={{ id: workId }}
            aria-label={`Why this work of ${name} waits`}
          >
            Why?
          </Link>
        </span>
        {expiresAt !== null && (
          <span className="muted isSmall">
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
      attempts === 0 ? (
        <span className="muted">0</span>
      ) : (
        <Link to="/runs" search={{ workId }} aria-label={`${attempts}, the runs of ${name}`}>
          {attempts}
        </Link>
      ),
  },
  {
    header: 'Priority',
    align: 'end',
    isEmpty: ({ priority }) => priority === 0,
    cell: ({ priority }) =>
      priority === 0 ? <span className="muted">0</span> : priority.toLocaleString('en'),
  },
  {
    header: 'Unique key',
    isEmpty: ({ hasUniqueKey }) => !hasUniqueKey,
    cell: ({ hasUniqueKey }) =>
      hasUniqueKey ? <span className="badge">Yes</span> : <span className="muted">–</span>,
  },
  { header: 'Actions', isPlain: true, isFull: true, cell: (work) => <WorkActions work={work} /> },
]

/** Work that waits for a worker or for its time, and the actions on it. */
export function WaitingWork({ queue }: { queue: ConsoleQueue }) {
  const { api } = useServices()
  const { work: name, label, field, value, key, order, workCursor: cursor } = route.useSearch()
  const filter = { name, label, field, value, key }
  const navigate = route.useNavigate()
  const labelId = useId()
  const panel = useShownWhen<HTMLElement>(name ?? label ?? field ?? key)
  const page = useQuery({
    ...workQuery(api, { ...filter, order, cursor }),
    placeholderData: keepPreviousData,
  })
  const jobs = queue.jobs.filter((job) => job.waiting > 0 || job.name === name)
  // What has come since the queue was counted.
  const others = new Set([...(page.data?.names ?? []), ...(name === undefined ? [] : [name])])
  for (const job of jobs) others.delete(job.name)
  const isNarrowed = [name, label, field, key, cursor].some((one) => one !== undefined)
  const show = (search: PieceSearch, its: typeof order) =>
    void navigate({ to: '/queue', search: { ...toSearch(search), order: its }, resetScroll: false })
  const { data: groups } = useQuery({
    ...groupsQuery(api, { of: 'work', filter }),
    placeholderData: keepPreviousData,
  })
  const fields = [...new Set([...(groups?.fields ?? []), ...(field === undefined ? [] : [field])])]

  return (
    <Panel
      ref={panel}
      title="Waiting work"
      className="isFlush"
      aside={
        <span className="panelTools">
          <InlineSelect
            label="Job"
            value={name ?? ''}
            onChange={({ target }) => show({ ...filter, name: target.value || undefined }, order)}
          >
            <option value="">All</option>
            {jobs.map((job) => (
              <option key={job.name} value={job.name}>
                {job.name} (<Count value={job.waiting} isCut={isWaitingCut(job)} />)
              </option>
            ))}
            {[...others].map((other) => (
              <option key={other}>{other}</option>
            ))}
          </InlineSelect>
          <form
            className="inlineField"
            key={JSON.stringify([label, field, value, key])}
            onSubmit={(event) => {
              event.preventDefault()
              const form = new FormData(event.currentTarget)
              const [by, typed] = [form.get('by'), form.get('text')]
              const text = (typeof typed === 'string' && typed.trim()) || null
              show(narrow({ name }, readBy(by), text), order)
            }}
          >
            <label className="muted" htmlFor={labelId}>
              With
            </label>
            <select
              name="by"
              aria-label="Label, key, or a field that the job shows"
              defaultValue={
                field === undefined ? (key === undefined ? 'label' : 'key') : ofField(field)
              }
            >
              <option value="label">Label</option>
              <option value="key">Key</option>
              {fields.map((one) => (
                <option key={one} value={ofField(one)}>
                  {one}
                </option>
              ))}
            </select>
            <input
              id={labelId}
              name="text"
              type="search"
              defaultValue={label ?? value ?? key ?? ''}
              maxLength={200}
              placeholder="then Enter"
              autoComplete="off"
            />
          </form>
          <InlineSelect
            label="Order"
            value={order ?? ''}
            onChange={({ target }) => show(filter, target.value === 'last' ? 'last' : undefined)}
          >
            <option value="">First to start</option>
            <option value="last">Last to start</option>
          </InlineSelect>
        </span>
      }
    >
      <Groups
        of="work"
        filter={filter}
        toSearch={(narrowed) => ({ ...toSearch(narrowed), order })}
      />
      <QueryView query={page} skeleton={<Skeleton kind="row" count={3} />}>
        {({ work, total, isLabelPart, names, nextCursor }) =>
          work.length === 0 ? (
            isNarrowed ? (
              <EmptyState title="No waiting work matches" />
            ) : (
              <EmptyState title="Nothing waits">
                <p>
                  Work stands here until a worker takes it: what has just come, what is to start
                  later, and what is to be tried again.
                </p>
              </EmptyState>
            )
          ) : (
            <>
              <Rows
                work={work}
                total={total}
                isOld={page.isPlaceholderData}
                isLabelPart={isLabelPart}
                filter={filter}
                names={names}
              />
              <Pager
                label="Pages of waiting work"
                cursor={cursor}
                nextCursor={nextCursor}
                words={order === 'last' ? ['Due last', 'Due earlier'] : ['First due', 'Due later']}
                aside={
                  <span className="muted">
                    <Count value={total} isCut={total === MAX_COUNTED} /> in all
                  </span>
                }
                pageAt={(at) => ({
                  to: '/queue',
                  search: { ...toSearch(filter), order, workCursor: at },
                  resetScroll: false,
                })}
              />
            </>
          )
        }
      </QueryView>
    </Panel>
  )
}

/** How the form says a field, beside `label` and `key`. */
const ofField = (field: string) => `field ${field}`

function readBy(chosen: FormDataEntryValue | null): GroupedBy {
  if (chosen === 'key') return { by: 'key', field: null }
  if (typeof chosen === 'string' && chosen.startsWith(ofField('')))
    return { by: 'field', field: chosen.slice(ofField('').length) }
  return { by: 'label', field: null }
}

/** The search of the page, where `name` is for the dead letters. */
const toSearch = ({ name: work, ...about }: PieceSearch) => ({ work, ...about })

interface RowsProps {
  work: readonly Work[]
  /** How many match, on all pages. */
  total: number
  /** Whether all this is of another filter than `filter`. */
  isOld: boolean
  filter: PieceSearch
  /** Whether it is a part of their labels. */
  isLabelPart: boolean
  /** The jobs of all that match. */
  names: readonly string[]
}

/** The rows, and what can be done with those that are checked, or with all that match. */
function Rows({ work, total, isOld, filter, isLabelPart, names }: RowsProps) {
  const act = useBulk()
  const selection = useSelection(
    work.map(({ workId }) => workId),
    JSON.stringify(filter),
  )
  const { isEverything, count } = selection
  const chosen = work.filter(({ workId }) => selection.has(workId))
  const jobs = isEverything
    ? [...new Set([...names, ...chosen.map((each) => each.name)])]
    : [...new Set(chosen.map((each) => each.name))]
  const of = {
    count: isEverything ? total : count,
    isMore: isEverything && total === MAX_COUNTED,
    about: [
      jobs.length === 1 ? `of ${jobs[0]}` : `of ${jobs.length} jobs`,
      ...(isEverything ? describeFilter(filter, isLabelPart) : []),
    ].join(' '),
    which: isEverything ? bulkFilter(filter, isLabelPart) : { ids: selection.keys() },
  }
  const number = of.count.toLocaleString('en')
  const isDelayed = isEverything || chosen.some(({ isDue }) => !isDue)
  return (
    <>
      {act !== null && (
        <SelectionBar
          selection={selection}
          total={isOld ? null : total}
          isCut={total === MAX_COUNTED}
        >
          {isDelayed && (
            <BulkButton bulk={{ what: 'startWork', ...of }}>Start {number} now</BulkButton>
          )}
          <BulkButton bulk={{ what: 'postponeWork', ...of }}>Postpone {number}</BulkButton>
          <BulkButton bulk={{ what: 'prioritiseWork', ...of }}>
            Change the priority of {number}
          </BulkButton>
          <BulkButton look="isDangerous" bulk={{ what: 'cancelWork', ...of }}>
            Cancel {number}
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

function WorkActions({ work: { name, workId, isDue } }: { work: Work }) {
  const of = { count: 1, about: `of ${name}`, which: { ids: [workId] } }
  return (
    <span className="rowActions">
      {!isDue && <BulkButton bulk={{ what: 'startWork', ...of }}>Start now</BulkButton>}
      <BulkButton bulk={{ what: 'postponeWork', ...of }}>Postpone</BulkButton>
      <BulkButton look="isQuiet" bulk={{ what: 'prioritiseWork', ...of }}>
        Priority
      </BulkButton>
      <BulkButton look="isQuiet" bulk={{ what: 'cancelWork', ...of }}>
        Cancel
      </BulkButton>
      <ShowPayload isInRow of={`work/${workId}`} name={name} />
    </span>
  )
}
