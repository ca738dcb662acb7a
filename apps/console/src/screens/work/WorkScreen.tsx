import type { WorkExplanation } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { explanationQuery } from '../../api/queries.ts'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { HeldSlots } from '../limit/HeldSlots.tsx'

const route = getRouteApi('/queue/$id')

/** Why a piece of work waits, or what became of it. */
export function WorkScreen(): ReactNode {
  const { api } = useServices()
  const { id } = route.useParams()
  const explanation = useQuery({
    ...explanationQuery(api, id),
    // What keeps it changes without an event.
    refetchInterval: ({ state }) => (state.data?.state === 'waiting' ? 5_000 : false),
  })
  const { data } = explanation
  return (
    <>
      <ScreenHeader
        title={data?.name == null ? 'A piece of work' : `Work of ${data.name}`}
        lead={
          data !== undefined && (
            <p className="muted isWrapped">
              {data.label !== null && <>{data.label} · </>}
              {data.name !== null && data.key !== null && (
                <>
                  <Link
                    to="/jobs/$name/keys"
                    params={{ name: data.name }}
                    search={{ key: data.key }}
                  >
                    Key {data.key}
                  </Link>
                  {' · '}
                </>
              )}
              {data.name !== null && (
                <Link to="/jobs/$name" params={{ name: data.name }}>
                  The job
                </Link>
              )}
              {data.runId !== null && (
                <>
                  {' · '}
                  <Link to="/runs" search={{ workId: id }}>
                    Its runs
                  </Link>
                </>
              )}
            </p>
          )
        }
      />
      <QueryView query={explanation} skeleton={<Skeleton kind="panel" />}>
        {(found) => (found.state === 'waiting' ? <Reasons of={found} /> : <Ended of={found} />)}
      </QueryView>
    </>
  )
}

const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`

const OF_KEYS: readonly string[] = ['keyPaused', 'keyFull', 'keyHead']
const OF_LIMITS: readonly string[] = ['limitFull', 'parked', 'noToken']

/** Leads to where what keeps it can be seen and lifted. */
function Where(props: { kind: string; name: string | null; of: string | null }) {
  const { kind, name, of: key } = props
  return (
    <>
      {OF_LIMITS.includes(kind) && (
        <>
          {' · '}
          <Link to="/limits">Limits</Link>
        </>
      )}
      {(OF_KEYS.includes(kind) || OF_LIMITS.includes(kind)) && name !== null && key !== null && (
        <>
          {' · '}
          <Link to="/jobs/$name/keys" params={{ name }} search={{ key }}>
            The key
          </Link>
        </>
      )}
    </>
  )
}

function Ended({ of: { text, since } }: { of: WorkExplanation }) {
  return (
    <Panel title="What became of it">
      <p className="isWrapped">
        {sentence(text)}
        {since !== null && (
          <>
            {' '}
            <Moment at={since} />
          </>
        )}
      </p>
    </Panel>
  )
}

function Reasons({ of: { name, key, text, since, reasons } }: { of: WorkExplanation }) {
  return (
    <Panel
      title="Why it waits"
      aside={
        since !== null && (
          <span className="muted">
            enqueued <Moment at={since} />
          </span>
        )
      }
    >
      {reasons.length === 0 ? (
        <EmptyState title="Nothing keeps it">
          <p>{sentence(text)}.</p>
        </EmptyState>
      ) : (
        <ul className="lines">
          {reasons.map((reason) => (
            <li key={`${reason.kind} ${reason.text}`} className="lineItem isFolding">
              <span className="stacked isWrapped">
                <span>
                  {sentence(reason.text)}
                  <Where kind={reason.kind} name={name} of={key} />
                </span>
                <HeldSlots runs={reason.runs} />
              </span>
              <span className="lineEnd muted">
                {reason.since !== null && (
                  <span>
                    began <Moment at={reason.since} />
                  </span>
                )}
                {reason.until !== null && (
                  <span>
                    ends <Moment at={reason.until} isToCome />
                  </span>
                )}
              </span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}
