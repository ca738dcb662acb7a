import type { ConsoleKeys } from '@roundsman/admin/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useId, type ReactNode } from 'react'
import { useAction } from '../../actions/useAction.ts'
import { KEY_SORTS, keysQuery, type KeySort } from '../../api/queries.ts'
import { InlineSelect } from '../../parts/InlineSelect.tsx'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { Halt } from './Halt.tsx'
import { KeyPause } from './KeyPause.tsx'
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
  const act = useAction()
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
      <Panel
        title="By key"
        className="isFlush keyTable"
        aside={<Tools name={name} order={order} />}
      >
        <QueryView
          query={keys}
          skeleton={<Skeleton kind="row" count={6} />}
          isOld={keys.isPlaceholderData}
        >
          {(page) =>
            page.keys.length === 0 ? (
              <EmptyState title="No work has a key">
                <p>
                  Each key that has work or has had some within the hour is listed here, and each of
                  which somebody has said something.
                </p>
              </EmptyState>
            ) : (
              <DataTable
                caption={`Keys of ${name}`}
                columns={[...columnsOf(name, page), ...(act === null ? [] : [pauseColumn(name)])]}
                rows={page.keys}
                keyOf={({ key }) => key}
              />
            )
          }
        </QueryView>
      </Panel>
    </>
  )
}

/** Opens a key that is not listed, and sorts. */
function Tools({ name, order }: { name: string; order: KeySort }) {
  const navigate = route.useNavigate()
  const keyId = useId()
  return (
    <span className="panelTools">
      <form
        className="inlineField"
        onSubmit={(event) => {
          event.preventDefault()
          const key = new FormData(event.currentTarget).get('key')
          if (typeof key !== 'string' || key === '') return
          void navigate({ to: '/jobs/$name/keys', params: { name }, search: { key } })
        }}
      >
        <label className="muted" htmlFor={keyId}>
          Key
        </label>
        <input
          id={keyId}
          name="key"
          type="search"
          maxLength={200}
          placeholder="then Enter"
          autoComplete="off"
        />
      </form>
      <InlineSelect
        label="Order"
        value={order}
        onChange={({ target }) => {
          const chosen = KEY_SORTS.find((one) => one === target.value)
          void navigate({
            to: '/jobs/$name/keys',
            params: { name },
            search: { order: chosen === 'waiting' ? undefined : chosen },
          })
        }}
      >
        {KEY_SORTS.map((one) => (
          <option key={one} value={one}>
            {SORTS[one]}
          </option>
        ))}
      </InlineSelect>
    </span>
  )
}

function describeTotal({ total, keys, counted, isCut }: ConsoleKeys): string {
  const all = `${total.toLocaleString('en')} ${total === 1 ? 'key' : 'keys'}`
  const shown = total > keys.length ? `, the first ${keys.length} of them` : ''
  return isCut
    ? `over ${all}${shown}: counted are the first ${counted.toLocaleString('en')} pieces that wait`
    : `${all}${shown}`
}

const number = (value: number) =>
  value === 0 ? <span className="muted">0</span> : value.toLocaleString('en')

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
  { header: 'Waiting', align: 'end', cell: ({ waiting }) => number(waiting) },
  { header: 'Running', align: 'end', cell: ({ running }) => number(running) },
  {
    header: 'Last hour',
    align: 'end',
    isEmpty: ({ startedLastHour }) => startedLastHour === 0,
    cell: ({ startedLastHour }) =>
      startedLastHour === 0 ? (
        <span className="muted">–</span>
      ) : (
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
    cell: ({ oldestAt }) =>
      oldestAt === null ? <span className="muted">–</span> : <Moment at={oldestAt} />,
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

const pauseColumn = (name: string): Column<Key> => ({
  header: 'Actions',
  isPlain: true,
  isFull: true,
  cell: ({ key, paused }) =>
    key === '' ? null : <KeyPause name={name} of={key} isPaused={paused !== null} />,
})

function State({ of }: { of: Key }) {
  const { paused, parkedUntil, parkReason, perKey } = of
  return (
    <span className="stacked isWrapped">
      {paused !== null && <Halt state="Paused" {...paused} />}
      {parkedUntil !== null && <Halt state="Parked" until={parkedUntil} reason={parkReason} />}
      {perKey !== null && <span>{perKey.toLocaleString('en')} at once</span>}
    </span>
  )
}
