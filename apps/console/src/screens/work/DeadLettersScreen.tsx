import type { DeadLetter, DeadLetterCause } from '@roundsman/admin/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useShowPayload } from '../../actions/ShowPayload.tsx'
import { useAction } from '../../actions/useAction.ts'
import { causesQuery, deadLettersQuery, type DeadLetterSearch } from '../../api/queries.ts'
import { Count } from '../../parts/Count.tsx'
import type { Column } from '../../parts/DataTable.tsx'
import { Dim } from '../../parts/Dim.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { JobLink } from '../../parts/JobLink.tsx'
import { Menu } from '../../parts/Menu.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Pager } from '../../parts/Pager.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { ActsOnAll, Pieces, type PieceAct } from './PieceActs.tsx'
import { AttemptsLink, GIVEN_UP, LETTER_ERROR } from './pieceColumns.tsx'
import { Groups, PieceFilters } from './PieceFilters.tsx'
import { bulkFilter, describeFilter } from './pieceSearch.ts'

const route = getRouteApi('/dead-letters')

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
    cell: (letter) => <AttemptsLink {...letter} />,
  },
  { header: 'Enqueued', cell: ({ enqueuedAt }) => <Moment at={enqueuedAt} /> },
  {
    header: 'Actions',
    isPlain: true,
    isMenu: true,
    cell: (letter) => <LetterMenu letter={letter} />,
  },
]

/** Work that was given up, and the actions on it. */
export function DeadLettersScreen(): ReactNode {
  const { api } = useServices()
  const search = route.useSearch()
  const { cursor, ...filter } = search
  const { errorCode, ...about } = filter
  const navigate = route.useNavigate()
  const letters = useQuery({
    ...deadLettersQuery(api, search),
    placeholderData: keepPreviousData,
  })
  const found = useQuery({ ...causesQuery(api, about), placeholderData: keepPreviousData })
  // Their total is that of the causes.
  const isOld = letters.isPlaceholderData || found.isPlaceholderData
  const causes = found.data?.causes ?? []
  const total = {
    count: causes
      .filter(({ code }) => errorCode === undefined || code === errorCode)
      .reduce((sum, { count }) => sum + count, 0),
    isCut: causes.some(({ isCut }) => isCut),
  }
  const isNarrowed = Object.values(search).some((one) => one !== undefined)
  return (
    <>
      <ScreenHeader
        title="Dead letters"
        lead={
          found.data === undefined ? (
            <Skeleton kind="line" />
          ) : (
            <p className="muted">
              <Count value={total.count} isCut={total.isCut} /> given up
            </p>
          )
        }
      >
        <ActsOnAll
          acts={ACTS}
          all={{
            count: isOld ? 0 : total.count,
            isMore: total.isCut,
            about: describeAll(filter),
            which: bulkFilter(filter),
          }}
        />
      </ScreenHeader>
      <PieceFilters
        of="dead-letters"
        filter={filter}
        names={letters.data?.deadLetters.map(({ name }) => name) ?? []}
        onChange={(next) => void navigate({ to: '/dead-letters', search: next, replace: true })}
      />
      <div className="panel isFlush">
        <Dim isOld={found.isPlaceholderData}>
          <Causes filter={filter} causes={causes} />
        </Dim>
        <Groups
          of="dead-letters"
          filter={filter}
          linkTo={(narrowed) => ({ to: '/dead-letters', search: narrowed })}
        />
        <QueryView query={letters} skeleton={<Skeleton kind="row" count={3} />} isOld={isOld}>
          {({ deadLetters, nextCursor }) => (
            <>
              {deadLetters.length > 0 ? (
                <Pieces
                  caption="Dead letters"
                  columns={COLUMNS}
                  rows={deadLetters}
                  nameOf={({ name, label, failedAt }) =>
                    `${name} ${label ?? ''}, given up ${failedAt}`
                  }
                  acts={ACTS}
                  scope={JSON.stringify(filter)}
                  about={() => ''}
                />
              ) : isNarrowed ? (
                <EmptyState title="No dead letters match">
                  <p>
                    <Link to="/dead-letters">Show all dead letters</Link>
                  </p>
                </EmptyState>
              ) : (
                <EmptyState title="No dead letters">
                  <p>Work that has used up its attempts is kept here until somebody decides.</p>
                </EmptyState>
              )}
              <Pager
                label="Pages of dead letters"
                cursor={cursor}
                nextCursor={nextCursor}
                words={['Newest', 'Older']}
                pageAt={(at) => ({ to: '/dead-letters', search: { ...filter, cursor: at } })}
              />
            </>
          )}
        </QueryView>
      </div>
    </>
  )
}

const ACTS: readonly PieceAct<DeadLetter>[] = [
  { what: 'redrive', words: 'Retry $', look: 'isPrimary' },
  { what: 'discard', words: 'Discard $', look: 'isDangerous' },
]

function describeAll({ name, errorCode, ...about }: DeadLetterSearch): string {
  const parts = [
    ...(name === undefined ? [] : [`of ${name}`]),
    ...describeFilter(about),
    ...(errorCode === undefined ? [] : [`that failed with ${errorCode}`]),
  ]
  return parts.length === 0 ? 'of all jobs' : parts.join(' ')
}

/** As many as fit on a line or two. */
const MAX_CAUSES = 8

/** The causes of the dead letters. Choosing one filters the list by it. */
function Causes({
  filter: { errorCode, ...about },
  causes,
}: {
  filter: DeadLetterSearch
  causes: readonly DeadLetterCause[]
}) {
  const shown = causes.slice(0, MAX_CAUSES)
  const isOther = errorCode !== undefined && !shown.some(({ code }) => code === errorCode)
  if (shown.length < 2 && errorCode === undefined) return null
  return (
    <div className="causesBar" role="group" aria-label="By cause">
      {shown.map(({ code, count, isCut }) => (
        <Link
          key={code}
          to="/dead-letters"
          search={{ ...about, ...(code !== errorCode && { errorCode: code }) }}
          className={code === errorCode ? 'causeChip isActive' : 'causeChip'}
          {...(code === errorCode && { 'aria-current': true })}
        >
          <code>{code}</code> · <Count value={count} isCut={isCut} />
        </Link>
      ))}
      {isOther && (
        <Link to="/dead-letters" search={about} className="causeChip isActive" aria-current>
          <code>{errorCode}</code>
        </Link>
      )}
      {errorCode !== undefined && (
        <Link to="/dead-letters" search={about}>
          All causes
        </Link>
      )}
    </div>
  )
}

function LetterMenu({ letter: { name, workId, label, losses } }: { letter: DeadLetter }) {
  const act = useAction()
  const showPayload = useShowPayload()
  return (
    <Menu
      label={`Actions for ${label ?? `this dead letter of ${name}`}`}
      items={[
        act !== null && {
          label: 'Retry',
          onChoose: () => act({ kind: 'redrive', name, workId, label, losses }),
        },
        showPayload !== null && {
          label: 'Show payload',
          onChoose: () => showPayload({ of: `work/${workId}`, name }),
        },
        act !== null && {
          label: 'Discard',
          isDangerous: true,
          onChoose: () => act({ kind: 'discard', name, workId }),
        },
      ]}
    />
  )
}
