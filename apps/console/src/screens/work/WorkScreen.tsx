import type { RunDetail, WorkExplanation } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { Link, Navigate, useMatch, useParams } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { ActButton, BulkButton } from '../../actions/ActButton.tsx'
import { explanationQuery, runsQuery, workQuery } from '../../api/queries.ts'
import { ButtonLink } from '../../parts/Button.tsx'
import { Count } from '../../parts/Count.tsx'
import { DataTable } from '../../parts/DataTable.tsx'
import { Elapsed } from '../../parts/Elapsed.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Fact } from '../../parts/Fact.tsx'
import { JobLink } from '../../parts/JobLink.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { HeldSlots } from '../limit/HeldSlots.tsx'
import { RunTable } from '../runs/RunTable.tsx'
import { WAITING } from './pieceColumns.tsx'
import { StepsPanel } from './StepsPanel.tsx'
import { WorkMenu } from './WaitingScreen.tsx'

/** Why a piece of work waits, or what became of it, and what can be done about it. */
export function WorkScreen(): ReactNode {
  const { api } = useServices()
  const { id = '' } = useParams({ strict: false })
  const isAmongWaiting = useMatch({
    strict: false,
    select: ({ routeId }) => routeId === '/waiting/$id',
  })
  const explanation = useQuery({
    ...explanationQuery(api, id),
    // What keeps it changes without an event.
    refetchInterval: ({ state }) => (state.data?.state === 'waiting' ? 5_000 : false),
  })
  const { data } = explanation
  // So that the header shows where it is now.
  if (data?.state === 'deadLetter' && isAmongWaiting)
    return <Navigate to="/dead-letters/$id" params={{ id }} replace />
  return (
    <>
      <ScreenHeader
        title={data?.name == null ? 'A piece of work' : `Work of ${data.name}`}
        lead={data?.label != null && <p className="muted isWrapped">{data.label}</p>}
      >
        {data && <Acts of={data} />}
      </ScreenHeader>
      <QueryView query={explanation} skeleton={<Skeleton kind="panel" />}>
        {(found) => (
          <div className="columns">
            <div className="column">
              {found.state === 'waiting' ? <Reasons of={found} /> : <Ended of={found} />}
              {found.name !== null && <StepsPanel work={{ ...found, name: found.name }} />}
              {found.runId !== null && <Runs workId={id} />}
              {found.state === 'waiting' && found.name !== null && (
                <FirstToStart name={found.name} of={found.key} />
              )}
            </div>
            <div className="column">
              <Panel title="Work">
                <Facts of={found} />
              </Panel>
            </div>
          </div>
        )}
      </QueryView>
    </>
  )
}

/** The actions on waiting work or on a dead letter. */
function Acts({ of: { workId, name, label, state, reasons } }: { of: WorkExplanation }) {
  if (name === null) return null
  const one = { count: 1, about: `of ${name}`, which: { ids: [workId] } }
  if (state === 'deadLetter')
    return (
      <>
        <BulkButton look="isPrimary" bulk={{ what: 'redrive', ...one }}>
          Retry
        </BulkButton>
        <BulkButton look="isDangerous" bulk={{ what: 'discard', ...one }}>
          Discard
        </BulkButton>
      </>
    )
  if (state !== 'waiting') return null
  const isDue = reasons.every(({ kind }) => kind !== 'delayed' && kind !== 'retry')
  return (
    <>
      <BulkButton look="isDangerous" bulk={{ what: 'cancelWork', ...one }}>
        Cancel
      </BulkButton>
      <WorkMenu work={{ name, workId, label, isDue }} />
    </>
  )
}

const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`

/** Lifts what keeps the work, or leads to where it can be lifted. */
function Remedy(props: { reason: WorkExplanation['reasons'][number]; of: WorkExplanation }) {
  const { kind, by } = props.reason
  const { workId, name } = props.of
  if (name === null) return null
  const one = { count: 1, about: `of ${name}`, which: { ids: [workId] } }
  switch (kind) {
    case 'paused':
      return <ActButton action={{ kind: 'resumeQueue', name }}>Resume the queue</ActButton>
    case 'keyPaused':
      return (
        <ActButton action={{ kind: 'resumeWorkOfKey', name, key: by?.name ?? '' }}>
          Resume the key
        </ActButton>
      )
    case 'parked':
      return (
        <ActButton
          action={
            by?.kind === 'key'
              ? { kind: 'unparkKey', name, key: by.name }
              : { kind: 'unparkLimit', name: by?.name ?? name, isShared: by?.kind === 'limit' }
          }
        >
          Try now
        </ActButton>
      )
    case 'delayed':
    case 'retry':
      return <BulkButton bulk={{ what: 'startWork', ...one }}>Start now</BulkButton>
    case 'keyHead':
      return (
        <ButtonLink to="/waiting/$id" params={{ id: by?.name ?? '' }}>
          The earlier work
        </ButtonLink>
      )
    case 'limitFull':
    case 'noToken':
      return <ButtonLink to="/limits">Limits</ButtonLink>
    case 'keyFull':
      return (
        <ButtonLink to="/jobs/$name/keys" params={{ name }} search={{ key: by?.name }}>
          The key
        </ButtonLink>
      )
    case 'behind':
      return <BulkButton bulk={{ what: 'prioritiseWork', ...one }}>Change the priority</BulkButton>
    case 'noWorker':
    case 'needsLater':
    case 'slotsFull':
    case 'alone':
      return <ButtonLink to="/workers">Workers</ButtonLink>
    case 'exclusive':
    case 'step':
    case 'inDoubt':
      return null
    default:
      return kind satisfies never
  }
}

function Ended({ of: { text, since } }: { of: WorkExplanation }) {
  return (
    <Panel title="What became of it">
      <p className="isWrapped">
        {sentence(text)} {since !== null && <Moment at={since} />}
      </p>
    </Panel>
  )
}

function Reasons({ of }: { of: WorkExplanation }) {
  const { text, reasons } = of
  return (
    <Panel title="Why it waits">
      {reasons.length === 0 ? (
        <EmptyState title="Nothing keeps it">
          <p>{sentence(text)}.</p>
        </EmptyState>
      ) : (
        <ul className="lines">
          {reasons.map((reason) => (
            <li key={`${reason.kind} ${reason.text}`} className="lineItem reason">
              <span className="stacked isWrapped">
                <span>{sentence(reason.text)}</span>
                {(reason.since !== null || reason.until !== null) && (
                  <span className="muted small">
                    {reason.since !== null && (
                      <>
                        for <Elapsed since={reason.since} />
                      </>
                    )}
                    {reason.since !== null && reason.until !== null && ', '}
                    {reason.until !== null && (
                      <>
                        ends <Moment at={reason.until} isToCome />
                      </>
                    )}
                  </span>
                )}
                <HeldSlots runs={reason.runs} />
              </span>
              <Remedy reason={reason} of={of} />
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}

function Facts({ of }: { of: WorkExplanation }) {
  const { workId, name, label, key, state, since, parent } = of
  return (
    <dl className="facts">
      {name !== null && (
        <Fact name="Job">
          <JobLink name={name} />
        </Fact>
      )}
      {label !== null && (
        <Fact name="Label" isWrapped>
          {label}
        </Fact>
      )}
      {name !== null && key !== null && (
        <Fact name="Key" isWrapped>
          <Link to="/jobs/$name/keys" params={{ name }} search={{ key }}>
            {key}
          </Link>
        </Fact>
      )}
      {parent !== null && (
        <Fact name="Part of" isWrapped>
          <Link to="/waiting/$id" params={{ id: parent.workId }}>
            work of {parent.name ?? 'another job'}
          </Link>
          ,{' '}
          <Link
            to="/waiting/$id/children"
            params={{ id: parent.workId }}
            search={{ step: parent.step, ...(parent.item !== '' && { item: parent.item }) }}
          >
            step {parent.step} {parent.item}
          </Link>
        </Fact>
      )}
      {state === 'waiting' && since !== null && (
        <Fact name="Enqueued">
          <Moment at={since} />
        </Fact>
      )}
      <Fact name="Work">
        <code className="isWrapped">{workId}</code>
      </Fact>
    </dl>
  )
}

/** All attempts at it so far. */
function Runs({ workId }: { workId: RunDetail['id'] }) {
  const { api } = useServices()
  const runs = useQuery(runsQuery(api, { workId }))
  if (runs.data === undefined || runs.data.runs.length === 0) return null
  return (
    <Panel title="Runs" className="isFlush">
      <RunTable runs={runs.data.runs} />
    </Panel>
  )
}

/** What workers take first of its job, or of its key. */
function FirstToStart({ name, of: key }: { name: string; of: string | null }) {
  const { api } = useServices()
  const search = { name, ...(key !== null && { key }) }
  const { data } = useQuery(workQuery(api, search))
  if (data === undefined) return null
  return (
    <Panel
      title={`First to start of ${key === null ? name : `the key ${key}`}`}
      className="isFlush"
      aside={
        <Link to="/waiting" search={search}>
          All <Count value={data.total} isCut={data.isTotalCut} />
        </Link>
      }
    >
      <DataTable
        caption="First to start"
        columns={WAITING}
        rows={data.work.slice(0, SHOWN)}
        keyOf={({ workId }) => workId}
      />
    </Panel>
  )
}

const SHOWN = 8
