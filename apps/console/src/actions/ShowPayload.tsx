import type { ConsoleAccess, HeldPayload } from '@roundsman/admin/contract'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { createContext, useContext, useEffect, useRef } from 'react'
import { Button } from '../parts/Button.tsx'
import { Dialog } from '../parts/Dialog.tsx'
import { Problem } from '../parts/Problem.tsx'
import { Skeleton } from '../parts/Skeleton.tsx'
import { useServices } from '../services/useServices.ts'
import { isBesideSession } from '../session/sessionQuery.ts'

export interface Whose {
  /** Where the API has what the payload is of, below `/jobs`. */
  of: `runs/${string}` | `work/${string}`
  /** The job and its label, for the dialog's title. */
  name: string
}

/** Opens the dialog, which outlives the row that asked for it. */
export const PayloadContext = createContext<(whose: Whose) => void>(() => undefined)

const ACCESS_KEY = 'access'

/** Opens the payload of a piece of work or of a run; null where the host does not let this person see payloads. */
export function useShowPayload(): ((whose: Whose) => void) | null {
  const { api } = useServices()
  const show = useContext(PayloadContext)
  const { data } = useQuery({
    queryKey: [ACCESS_KEY],
    queryFn: ({ signal }) => api.get<ConsoleAccess>('/console/access', signal),
    staleTime: Infinity,
  })
  return data?.payloads === true ? show : null
}

/** Asks for the payload once, however often it renders: each look is on record. */
export function PayloadDialog({ whose, onClose }: { whose: Whose; onClose: () => void }) {
  const { api } = useServices()
  const queries = useQueryClient()
  const isAsked = useRef(false)
  const { mutate, data, error } = useMutation({
    mutationFn: () => api.change<HeldPayload>('POST', `/jobs/${whose.of}/payload`),
    // The look is on the page itself, under Activity.
    onSuccess: () =>
      void queries.invalidateQueries({
        predicate: (query) => isBesideSession(query) && query.queryKey[0] !== ACCESS_KEY,
      }),
  })
  useEffect(() => {
    if (isAsked.current) return
    isAsked.current = true
    mutate()
  }, [mutate])
  return (
    <Dialog title={`Payload of ${whose.name}`} onClose={onClose}>
      <div className="dialogForm">
        {error !== null && <Problem error={error} />}
        {error === null && data === undefined && <Skeleton kind="line" count={3} />}
        {data !== undefined && (
          <>
            <pre className="payload" tabIndex={0} aria-label="Payload">
              {JSON.stringify(data.payload, null, 2)}
            </pre>
            <p className="muted">
              Without passwords, tokens and e-mail addresses. That you looked is recorded with your
              name.
            </p>
          </>
        )}
        <div className="dialogActions">
          <Button onClick={onClose}>Close</Button>
        </div>
      </div>
    </Dialog>
  )
}
