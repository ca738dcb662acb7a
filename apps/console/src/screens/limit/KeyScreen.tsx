import type { ConsoleKey } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { ActButton } from '../../actions/ActButton.tsx'
import { keyQuery } from '../../api/queries.ts'
import { Fact } from '../../parts/Fact.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatDuration } from '../../time/formatDuration.ts'
import { Halt } from './Halt.tsx'
import { HeldSlots } from './HeldSlots.tsx'
import { KeyMenu } from './KeyMenu.tsx'
import { shareOf } from './shareOf.ts'

const LOOK_MS = 5_000

/** One key of a job: its work, its settings with their person, and the actions on it. */
export function KeyScreen({ name, of: key }: { name: string; of: string }): ReactNode {
  const { api } = useServices()
  const found = useQuery({ ...keyQuery(api, name, key), refetchInterval: LOOK_MS })
  return (
    <>
      <ScreenHeader
        title={key}
        lead={
          <p className="muted">
            A key of{' '}
            <Link to="/jobs/$name" params={{ name }}>
              {name}
            </Link>
            {' · '}
            <Link to="/jobs/$name/keys" params={{ name }}>
              All its keys
            </Link>
            {' · '}
            <Link to="/limits">Limits</Link>
          </p>
        }
      >
        {found.data && <KeyActions name={name} of={found.data} />}
      </ScreenHeader>
      <QueryView query={found} skeleton={<Skeleton kind="panel" count={2} />}>
        {(data) => (
          <div className="columns">
            <Panel title="Now">
              <Now name={name} of={data} />
            </Panel>
            <Panel title="Limits">
              <Rules of={data} />
            </Panel>
          </div>
        )}
      </QueryView>
    </>
  )
}

function KeyActions({ name, of }: { name: string; of: ConsoleKey }) {
  const { key, limit, paused, parkedUntil, perKey } = of
  // Nobody can set anything of a key that no worker has registered.
  if (limit === null) return null
  return (
    <>
      {parkedUntil !== null && (
        <ActButton look="isPrimary" action={{ kind: 'unparkKey', name, key }}>
          Try now
        </ActButton>
      )}
      {paused !== null && (
        <ActButton look="isPrimary" action={{ kind: 'resumeWorkOfKey', name, key }}>
          Resume
        </ActButton>
      )}
      <KeyMenu
        name={name}
        of={key}
        isPaused={paused !== null}
        isParked={parkedUntil !== null}
        perKey={limit.order === 'fifo' ? undefined : perKey}
      />
    </>
  )
}

function Now({ name, of }: { name: string; of: ConsoleKey }) {
  const { key, waiting, delayed, isCut, oldestAt, deadLetters, running, runs } = of
  const { startedLastHour, ofAllStarted, areStartsCut } = of
  const count = (value: number) => value.toLocaleString('en')
  return (
    <dl className="facts">
      <Fact name="Waiting">
        <Link to="/waiting" search={{ name, key }}>
          {isCut && 'over '}
          {count(waiting)}
        </Link>
        {delayed > 0 && <span className="muted"> ({count(delayed)} of them for later)</span>}
      </Fact>
      {oldestAt !== null && (
        <Fact name="Oldest">
          enqueued <Moment at={oldestAt} />
        </Fact>
      )}
      <Fact name="Running" isWrapped>
        {count(running)}
        <HeldSlots runs={runs} />
        {running > runs.length && (
          <span className="muted small">and {count(running - runs.length)} more</span>
        )}
      </Fact>
      <Fact name="Last hour">
        {ofAllStarted === 0 ? (
          <span className="muted">no run of the job has started</span>
        ) : (
          <>
            {shareOf(startedLastHour, ofAllStarted)}{' '}
            <span className="muted">
              ({count(startedLastHour)} of {areStartsCut && 'the latest '}
              {count(ofAllStarted)} starts)
            </span>
          </>
        )}
      </Fact>
      <Fact name="Dead letters">
        <Link to="/dead-letters" search={{ name, key }}>
          {count(deadLetters)}
        </Link>
      </Fact>
      <Fact name="Runs">
        <Link to="/runs" search={{ name, key }}>
          All its runs
        </Link>
      </Fact>
    </dl>
  )
}

function Rules({ of }: { of: ConsoleKey }) {
  const { limit, perKey, paused, parkedUntil, parkReason, setBy, setAt, reason } = of
  const own = limit === null || limit.perKey === null ? 'any number' : limit.perKey
  return (
    <>
      {limit === null && (
        <p className="note">
          No worker has registered keys of this job, so nobody can pause or limit them.
        </p>
      )}
      <dl className="facts">
        {paused !== null && (
          <Fact name="Paused" isWrapped>
            <Halt state="Paused" {...paused} />
            <span className="muted">
              {' · '}
              <Moment at={paused.at} />
            </span>
          </Fact>
        )}
        {parkedUntil !== null && (
          <Fact name="Waiting (429)" isWrapped>
            <Halt state="Refused" until={parkedUntil} reason={parkReason} />
          </Fact>
        )}
        <Fact name="Runs at once">
          {limit?.order === 'fifo'
            ? '1, in order'
            : perKey === null
              ? own.toLocaleString('en')
              : `${perKey.toLocaleString('en')}; in the code ${own.toLocaleString('en')}`}
        </Fact>
        {limit?.rateBy === 'key' && limit.rateLimit !== null && (
          <Fact name="Rate limit">
            {limit.rateLimit.toLocaleString('en')} in {formatDuration(limit.ratePerMs ?? 0)}
          </Fact>
        )}
        {setAt !== null && (
          <Fact name="Last set" isWrapped>
            by {setBy}, <Moment at={setAt} />
            {reason !== null && <span className="muted">: {reason}</span>}
          </Fact>
        )}
      </dl>
    </>
  )
}
