import type { ConsoleKeys } from '@roundsman/admin/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { KEY_SORTS, keysQuery, type KeySort } from '../../api/queries.ts'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { InputField, SelectField } from '../../parts/Field.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { Halt } from './Halt.tsx'
import { KeyMenu } from './KeyMenu.tsx'
import { KeyScreen } from './KeyScreen.tsx'
import { shareOf } from './shareOf.ts'

const route = getRouteApi('/jobs/$name/keys')

type Key = ConsoleKeys['keys'][number]

const SORTS = {
  waiting: 'Most waiting',
  running: 'Most running',
  oldest: 'Longest wait',
  started: 'Most started',
  key: 'By name',
} satisfies Record<KeySort, string>

/** One key of a job, or all of them. */
export function KeysScreen(): ReactNode {
  const { name } = route.useParams()
  const { key } = route.useSearch()
  return key === undefined ? <Keys name={name} /> : <KeyScreen key={key} name={name} of={key} />
}

/** The keys by which a job divides its work. */
function Keys({ name }: { name: string }): ReactNode {
  const { api } = useServices()
  const { order = 'waiting' } = route.useSearch()
  const keys = useQuery({
    ...keysQuery(api, name, order),
    placeholderData: keepPreviousData,
    // To count up to 100,000 pieces takes some tenths of a second.
    refetchInterval: ({ state }) => (state.data?.isCut === true ? 30_000 : 5_000),
  })
  const { data } = keys
  return (
    <>
      <ScreenHeader
        title={`Keys of ${name}`}
        lead={
          <p className="muted">
            <Link to="/jobs/$name" params={{ name }}>
              The job
            </Link>
            {' · '}
            <Link to="/limits">Limits</Link>
            {data !== undefined && data.total > 0 && ` · ${describeTotal(data)}`}
          </p>
        }
      />
      <Tools order={order} />
      <div className="panel isFlush keyTable">
        <QueryView
          query={keys}
          skeleton={<Skeleton kind="row" count={6} />}
          isOld={keys.isPlaceholderData}
        >
          {(page) =>
            page.keys.length === 0 ? (
              <EmptyState title="No work has a key">
                <p>
                  This page lists keys that have work, have had work within the last hour, or are
                  paused or limited.
                </p>
              </EmptyState>
            ) : (
              <DataTable
                caption={`Keys of ${name}`}
                columns={[...columnsOf(name, page), menuColumn(name)]}
                rows={page.keys}
                keyOf={({ key }) => key}
              />
            )
          }
        </QueryView>
      </div>
    </>
  )
}

/** Opens a key that is not listed, and sorts. */
function Tools({ order }: { order: KeySort }) {
  const navigate = route.useNavigate()
  return (
    <form
      className="filters"
      onSubmit={(event) => {
        event.preventDefault()
        const key = new FormData(event.currentTarget).get('key')
        if (typeof key === 'string' && key !== '') void navigate({ search: { key } })
      }}
    >
      <div className="filterRow">
        <InputField
          label="Open a key"
          name="key"
          maxLength={200}
          placeholder="then Enter"
          data-filter
        />
        <SelectField
          label="Order"
          value={order}
          onChange={({ target }) => {
            const chosen = KEY_SORTS.find((one) => one === target.value)
            void navigate({ search: { order: chosen === 'waiting' ? undefined : chosen } })
          }}
        >
          {KEY_SORTS.map((one) => (
            <option key={one} value={one}>
              {SORTS[one]}
            </option>
          ))}
        </SelectField>
      </div>
    </form>
  )
}

function describeTotal({ total, keys, counted, isCut }: ConsoleKeys): string {
  const all = `${total.toLocaleString('en')} ${total === 1 ? 'key' : 'keys'}`
  const shown = total > keys.length ? `, the first ${keys.length} of them` : ''
  return isCut
    ? `over ${all}${shown}, counted by the first ${counted.toLocaleString('en')} pieces that wait`
    : `${all}${shown}`
}

const number = (value: number) => value > 0 && value.toLocaleString('en')

const columnsOf = (name: string, page: ConsoleKeys): readonly Column<Key>[] => [
  {
    header: 'Key',
    isRowHeader: true,
    isPlain: true,
    isFull: true,
    cell: ({ key }) =>
      key === '' ? (
        <span className="muted">Without a key</span>
      ) : (
        <Link
          to="/jobs/$name/keys"
          params={{ name }}
          search={{ key }}
          data-row-link
          className="strongLink isWrapped"
        >
          {key}
        </Link>
      ),
  },
  {
    header: 'Waiting',
    align: 'end',
    isEmpty: ({ waiting }) => waiting === 0,
    cell: ({ waiting }) => number(waiting),
  },
  {
    header: 'Running',
    align: 'end',
    isEmpty: ({ running }) => running === 0,
    cell: ({ running }) => number(running),
  },
  {
    header: 'Last hour',
    align: 'end',
    isEmpty: ({ startedLastHour }) => startedLastHour === 0,
    cell: ({ startedLastHour }) =>
      startedLastHour > 0 && (
        <span
          data-tip={`${startedLastHour.toLocaleString('en')} of ${page.areStartsCut ? 'the latest ' : ''}${page.startedLastHour.toLocaleString('en')} runs`}
        >
          {shareOf(startedLastHour, page.startedLastHour)}
        </span>
      ),
  },
  {
    header: 'Oldest',
    isEmpty: ({ oldestAt }) => oldestAt === null,
    cell: ({ oldestAt }) => oldestAt !== null && <Moment at={oldestAt} />,
  },
  {
    header: 'Dead letters',
    align: 'end',
    isEmpty: ({ deadLetters }) => deadLetters === 0,
    cell: ({ deadLetters }) => number(deadLetters),
  },
  {
    header: 'State',
    isPlain: true,
    isFull: true,
    isEmpty: ({ paused, parkedUntil, perKey }) =>
      paused === null && parkedUntil === null && perKey === null,
    cell: (key) => <State of={key} />,
  },
]

const menuColumn = (name: string): Column<Key> => ({
  header: 'Actions',
  isPlain: true,
  isMenu: true,
  cell: ({ key, paused, parkedUntil, perKey }) =>
    key !== '' && (
      <KeyMenu
        name={name}
        of={key}
        isPaused={paused !== null}
        isParked={parkedUntil !== null}
        perKey={perKey}
      />
    ),
})

function State({ of }: { of: Key }) {
  const { paused, parkedUntil, parkReason, perKey } = of
  return (
    <span className="stacked isWrapped">
      {paused !== null && <Halt state="Paused" {...paused} />}
      {parkedUntil !== null && <Halt state="Refused" until={parkedUntil} reason={parkReason} />}
      {perKey !== null && <span>{perKey.toLocaleString('en')} at once</span>}
    </span>
  )
}
