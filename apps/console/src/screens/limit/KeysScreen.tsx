import type { ConsoleKeys } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useAction } from '../../actions/useAction.ts'
import { keysQuery } from '../../api/queries.ts'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { Halt } from './Halt.tsx'

const route = getRouteApi('/jobs/$name/keys')

type Key = ConsoleKeys['keys'][number]

/** The keys by which a job divides its work, those with most that waits first. */
export function KeysScreen(): ReactNode {
  const { api } = useServices()
  const { name } = route.useParams()
  const act = useAction()
  const keys = useQuery({ ...keysQuery(api, name), refetchInterval: 5_000 })
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
      <div className="panel isFlush keyTable">
        <QueryView query={keys} skeleton={<Skeleton kind="row" count={6} />}>
          {({ keys: rows }) =>
            rows.length === 0 ? (
              <EmptyState title="No work has a key">
                <p>
                  Each key with work, and each of which somebody has said something, is listed here.
                </p>
              </EmptyState>
            ) : (
              <DataTable
                caption={`Keys of ${name}`}
                columns={act === null ? COLUMNS : [...COLUMNS, pauseColumn(name)]}
                rows={rows}
                keyOf={({ key }) => key}
              />
            )
          }
        </QueryView>
      </div>
    </>
  )
}

function describeTotal({ total, keys, counted, isCut }: ConsoleKeys): string {
  const all = `${total.toLocaleString('en')} ${total === 1 ? 'key' : 'keys'}`
  const shown = total > keys.length ? `, the first ${keys.length} of them` : ''
  return isCut
    ? `${all}${shown}, of ${counted.toLocaleString('en')} pieces looked at`
    : `${all}${shown}`
}

const COLUMNS: readonly Column<Key>[] = [
  {
    header: 'Key',
    isRowHeader: true,
    isPlain: true,
    isFull: true,
    cell: ({ key }) =>
      key === '' ? (
        <span className="muted">Without a key</span>
      ) : (
        <span className="isWrapped">{key}</span>
      ),
  },
  { header: 'Waiting', align: 'end', cell: ({ waiting }) => waiting.toLocaleString('en') },
  { header: 'Running', align: 'end', cell: ({ running }) => running.toLocaleString('en') },
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
    cell: ({ deadLetters }) => deadLetters.toLocaleString('en'),
  },
  {
    header: 'State',
    isPlain: true,
    isFull: true,
    isEmpty: ({ pausedUntil, parkedUntil, perKey, weight }) =>
      pausedUntil === null && parkedUntil === null && perKey === null && weight === 1,
    cell: (key) => <State of={key} />,
  },
]

const pauseColumn = (name: string): Column<Key> => ({
  header: 'Actions',
  isPlain: true,
  isFull: true,
  cell: ({ key, pausedUntil }) =>
    key === '' ? null : <Pause name={name} of={key} isPaused={pausedUntil !== null} />,
})

function Pause({ name, of: key, isPaused }: { name: string; of: string; isPaused: boolean }) {
  const act = useAction()
  return (
    <button
      type="button"
      className={isPaused ? 'button isSmall isPrimary' : 'button isSmall isQuiet'}
      aria-label={`${isPaused ? 'Resume' : 'Pause'} the work of ${key}`}
      onClick={() => act?.({ kind: isPaused ? 'resumeWorkOfKey' : 'pauseWorkOfKey', name, key })}
    >
      {isPaused ? 'Resume' : 'Pause'}
    </button>
  )
}

function State({ of }: { of: Key }) {
  const { pausedUntil, pausedBy, reason, parkedUntil, parkReason, perKey, weight } = of
  return (
    <span className="stacked isWrapped">
      {pausedUntil !== null && (
        <Halt state="Paused" until={pausedUntil} by={pausedBy} reason={reason} />
      )}
      {parkedUntil !== null && <Halt state="Parked" until={parkedUntil} reason={parkReason} />}
      {perKey !== null && <span>{perKey.toLocaleString('en')} at once</span>}
      {weight !== 1 && <span>weight {weight.toLocaleString('en')}</span>}
    </span>
  )
}
