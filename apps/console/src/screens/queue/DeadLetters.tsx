import type { ConsoleQueue, DeadLetter, DeadLetterCause } from '@roundsman/admin/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { ActButton, BulkButton } from '../../actions/ActButton.tsx'
import { ShowPayload } from '../../actions/ShowPayload.tsx'
import { useBulk } from '../../actions/useAction.ts'
import { causesQuery, deadLettersQuery, type DeadLetterSearch } from '../../api/queries.ts'
import { JobLink } from '../../parts/JobLink.tsx'
import { InlineSelect } from '../../parts/InlineSelect.tsx'
import { Count, MAX_COUNTED } from '../../parts/Count.tsx'
import { Dim } from '../../parts/Dim.tsx'
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
import { Groups } from './Groups.tsx'
import { GIVEN_UP, LETTER_ERROR } from './letterColumns.tsx'
import { bulkFilter, describeFilter } from './pieceSearch.ts'

const route = getRouteApi('/queue')

const COLUMNS: readonly Column<DeadLetter>[] = [
  GIVEN_UP,
  {
    header: 'Job',
    isPlain: true,
    isFull: true,
    cell: ({ name, label }) => (
      <>
        <JobLink name={name} className="quietLink" />
        {label !== null && <span className="rowLabel">{label}</span>}
      </>
    ),
  },
  LETTER_ERROR,
  {
    header: 'Attempts',
    align: 'end',
    cell: ({ attempts, workId, name }) => (
      <Link to="/runs" search={{ workId }} aria-label={`${attempts}, the runs of ${name}`}>
        {attempts}
      </Link>
    ),
  },
  { header: 'Enqueued', cell: ({ enqueuedAt }) => <Moment at={enqueuedAt} /> },
  {
    header: 'Actions',
    isPlain: true,
    isFull: true,
    cell: (letter) => <LetterActions letter={letter} />,
  },
]

/** Work that was given up, and the actions on it. */
export function DeadLetters({ queue }: { queue: ConsoleQueue }) {
  const { api } = useServices()
  const {
    name,
    errorCode,
    cursor,
    letterLabel: label,
    letterField: field,
    letterValue: value,
    letterKey: key,
  } = route.useSearch()
  const about = { name, label, field, value, key }
  const search = { ...about, errorCode, cursor }
  const navigate = route.useNavigate()
  const panel = useShownWhen<HTMLElement>(name ?? errorCode ?? label ?? field ?? key)
  const letters = useQuery({
    ...deadLettersQuery(api, search),
    placeholderData: keepPreviousData,
  })
  const causes = useQuery({ ...causesQuery(api, about), placeholderData: keepPreviousData })
  // Their total is that of the causes.
  const isOld = letters.isPlaceholderData || causes.isPlaceholderData
  const jobs = queue.jobs.filter((job) => job.deadLetters > 0 || job.name === name)
  const isNarrowed = [name, errorCode, label, field, key, cursor].some((one) => one !== undefined)

  return (
    <Panel
      ref={panel}
      title="Dead letters"
      className="isFlush"
      aside={
        <InlineSelect
          label="Job"
          value={name ?? ''}
          data-filter
          onChange={({ target }) =>
            void navigate({
              to: '/queue',
              search: target.value === '' ? {} : { name: target.value },
            })
          }
        >
          <option value="">All</option>
          {jobs.map((job) => (
            <option key={job.name} value={job.name}>
              {job.name} (
              <Count value={job.deadLetters} isCut={job.deadLetters >= MAX_COUNTED} />)
            </option>
          ))}
          {name !== undefined && !jobs.some((job) => job.name === name) && (
            <option value={name}>{name}</option>
          )}
        </InlineSelect>
      }
    >
      <Dim isOld={causes.isPlaceholderData}>
        <Causes search={search} causes={causes.data?.causes ?? []} />
      </Dim>
      <Groups of="dead-letters" filter={{ ...about, errorCode }} toSearch={toSearch} />
      <QueryView query={letters} skeleton={<Skeleton kind="row" count={3} />} isOld={isOld}>
        {({ deadLetters, nextCursor }) =>
          deadLetters.length === 0 ? (
            <EmptyState title={isNarrowed ? 'No dead letters match' : 'No dead letters'}>
              {isNarrowed ? (
                <p>
                  <Link to="/queue">Show all dead letters</Link>
                </p>
              ) : (
                <p>Work that has used up its attempts is kept here until somebody decides.</p>
              )}
            </EmptyState>
          ) : (
            <>
              <Letters
                letters={deadLetters}
                search={search}
                total={countMatching(causes.data?.causes ?? [], errorCode)}
                isOld={isOld}
                isMore={causes.data?.causes.some(({ isCut }) => isCut) ?? false}
              />
              <Pager
                label="Pages of dead letters"
                cursor={cursor}
                nextCursor={nextCursor}
                words={['Newest', 'Older']}
                pageAt={(at) => ({ to: '/queue', search: toSearch({ ...search, cursor: at }) })}
              />
            </>
          )
        }
      </QueryView>
    </Panel>
  )
}

/** The search of the page, whose other names are for the waiting work. */
const toSearch = ({ label, field, value, key, ...search }: DeadLetterSearch) => ({
  ...search,
  letterLabel: label,
  letterField: field,
  letterValue: value,
  letterKey: key,
})

const countMatching = (causes: readonly DeadLetterCause[], errorCode: string | undefined) =>
  causes
    .filter(({ code }) => errorCode === undefined || code === errorCode)
    .reduce((sum, { count }) => sum + count, 0)

/** As many as fit on a line or two. */
const MAX_CAUSES = 8

/** The causes of the dead letters. Choosing one filters the list by it. */
function Causes({
  search: { cursor: _cursor, errorCode, ...about },
  causes,
}: {
  search: DeadLetterSearch
  causes: readonly DeadLetterCause[]
}) {
  const shown = causes.slice(0, MAX_CAUSES)
  const isOther = errorCode !== undefined && !shown.some(({ code }) => code === errorCode)
  if (shown.length + (isOther ? 1 : 0) < 2 && errorCode === undefined) return null
  return (
    <div className="causesBar" role="group" aria-label="By cause">
      {shown.map(({ code, count, isCut }) => (
        <Link
          key={code}
          to="/queue"
          search={toSearch({ ...about, ...(code !== errorCode && { errorCode: code }) })}
          className={code === errorCode ? 'causeChip isActive' : 'causeChip'}
          {...(code === errorCode && { 'aria-current': true })}
        >
          <code>{code}</code> · <Count value={count} isCut={isCut} />
        </Link>
      ))}
      {isOther && (
        <Link to="/queue" search={toSearch(about)} className="causeChip isActive" aria-current>
          <code>{errorCode}</code>
        </Link>
      )}
      {errorCode !== undefined && (
        <Link to="/queue" search={toSearch(about)}>
          All causes
        </Link>
      )}
    </div>
  )
}

interface LettersProps {
  letters: readonly DeadLetter[]
  search: DeadLetterSearch
  /** How many dead letters match, and whether there may be more. */
  total: number
  isMore: boolean
  /** Whether they, or the rows, are of another search than `search`. */
  isOld: boolean
}

/** The rows, and the actions on the checked ones. */
function Letters(props: LettersProps) {
  const { letters, total, isMore, isOld } = props
  const { cursor: _cursor, ...filter } = props.search
  const act = useBulk()
  const selection = useSelection(
    letters.map(({ workId }) => workId),
    JSON.stringify(filter),
  )
  const { isEverything, count } = selection
  const { name, errorCode } = filter
  const isNarrowed = Object.values(filter).some((one) => one !== undefined)
  const about = [
    name !== undefined && `of ${name}`,
    ...describeFilter(filter),
    errorCode !== undefined && `that failed with ${errorCode}`,
    isEverything && !isNarrowed && 'of all jobs',
  ]
  const bulk = {
    count: isEverything ? total : count,
    isMore: isEverything && isMore,
    about: isEverything ? about.filter(Boolean).join(' ') : '',
    which: isEverything ? bulkFilter(filter) : { ids: selection.keys() },
  }
  return (
    <>
      {act !== null && (
        <SelectionBar selection={selection} total={isOld ? null : total} isCut={isMore}>
          <BulkButton look="isPrimary" bulk={{ what: 'redrive', ...bulk }}>
            Retry {bulk.count.toLocaleString('en')}
          </BulkButton>
          <BulkButton look="isDangerous" bulk={{ what: 'discard', ...bulk }}>
            Discard {bulk.count.toLocaleString('en')}
          </BulkButton>
        </SelectionBar>
      )}
      <DataTable
        caption="Dead letters"
        columns={COLUMNS}
        rows={letters}
        keyOf={({ workId }) => workId}
        nameOf={({ name: job, label, failedAt }) => `${job} ${label ?? ''}, given up ${failedAt}`}
        {...(act !== null && { selection })}
      />
    </>
  )
}

function LetterActions({ letter: { name, workId, label, losses } }: { letter: DeadLetter }) {
  return (
    <span className="rowActions">
      <ActButton action={{ kind: 'redrive', name, workId, label, losses }}>Retry</ActButton>
      <ActButton look="isQuiet" action={{ kind: 'discard', name, workId }}>
        Discard
      </ActButton>
      <ShowPayload isInRow of={`work/${workId}`} name={name} />
    </span>
  )
}
