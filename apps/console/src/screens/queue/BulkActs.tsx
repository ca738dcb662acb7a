import type { BulkAct } from '@roundsman/admin/contract'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Button } from '../../parts/Button.tsx'
import { describeDone } from '../../actions/bulk.ts'
import { useBulk } from '../../actions/useAction.ts'
import { bulksQuery } from '../../api/queries.ts'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { ProgressBar } from '../../parts/ProgressBar.tsx'
import { useServices } from '../../services/useServices.ts'

const LOOK_MS = 1_000

/** What people do to many at once: how far it is, and on the queue's page what came of the latest. Nothing where there is none. */
export function BulkActs({ isOpen = false }: { isOpen?: boolean }) {
  const { api } = useServices()
  const { data } = useQuery({
    ...bulksQuery(api, isOpen),
    refetchInterval: ({ state }) =>
      state.data?.acts.some(({ endedAt }) => endedAt === null) ? LOOK_MS : false,
  })
  if (data === undefined || data.acts.length === 0) return null
  return (
    <Panel title="Done to many at once">
      <ul className="lines">
        {data.acts.map((act) => (
          <Act key={act.id} act={act} />
        ))}
      </ul>
    </Panel>
  )
}

function Act({ act }: { act: BulkAct }) {
  const { matched, left, reason, actor, stoppedBy, problem, endedAt } = act
  const of = act.names.length === 1 ? act.names[0] : `${act.names.length} jobs`
  return (
    <li className={endedAt === null ? 'lineItem isFolding' : 'lineItem'}>
      <span className="isWrapped">
        {matched > 0 && `${of}: `}
        {describeDone({ ...act, left: endedAt === null ? 0 : left })}. <strong>{actor}</strong>
        {stoppedBy !== null && `, stopped by ${stoppedBy}`}
        {reason !== null && <span className="muted">: {reason}</span>}
        {problem !== null && (
          <span className="isBad"> It cannot go on, and is tried again: {problem}</span>
        )}
      </span>
      <span className="lineEnd">
        {endedAt === null ? (
          <>
            <ProgressBar
              label="How far it is"
              progress={{ done: matched - left, total: matched }}
            />{' '}
            <Stop id={act.id} />
          </>
        ) : (
          <Moment at={endedAt} />
        )}
      </span>
    </li>
  )
}

function Stop({ id }: { id: string }) {
  const { api } = useServices()
  const queries = useQueryClient()
  const mayAct = useBulk() !== null
  const stop = useMutation({
    mutationFn: () => api.change<BulkAct>('POST', `/jobs/bulk/${id}/stop`, undefined),
    onSettled: () => void queries.invalidateQueries({ queryKey: ['bulk'] }),
  })
  if (!mayAct) return null
  return (
    <Button disabled={stop.isPending} onClick={() => stop.mutate()}>
      Stop
    </Button>
  )
}
