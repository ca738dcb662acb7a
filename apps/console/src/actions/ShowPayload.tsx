import type { ConsoleAccess, HeldPayload } from '@roundsman/admin/contract'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Dialog } from '../parts/Dialog.tsx'
import { Problem } from '../parts/Problem.tsx'
import { Skeleton } from '../parts/Skeleton.tsx'
import { useServices } from '../services/useServices.ts'
import { SESSION_KEY } from '../session/sessionQuery.ts'

/** Whether the host lets this person look at payloads. */
export function useMayShowPayloads(): boolean {
  const { api } = useServices()
  const access = useQuery({
    queryKey: ['access'],
    queryFn: ({ signal }) => api.get<ConsoleAccess>('/console/access', signal),
    staleTime: Infinity,
  })
  return access.data?.payloads ?? false
}

export interface ShowPayloadProps {
  /** Whose payload: where the API has it, below `/jobs`. */
  of: `runs/${string}` | `work/${string}`
  /** The job and its label, for the dialog's title. */
  name: string
  className?: string
}

/** A button that asks for a payload, once for each click: each look is on record. Absent for people who may not look. */
export function ShowPayload({ of, name, className = 'button isSmall' }: ShowPayloadProps) {
  const { api } = useServices()
  const queries = useQueryClient()
  const [isOpen, setOpen] = useState(false)
  const look = useMutation({
    mutationFn: () => api.change<HeldPayload>('POST', `/jobs/${of}/payload`),
    // The look is on the page itself, under Activity.
    onSuccess: () =>
      void queries.invalidateQueries({
        predicate: ({ queryKey }) => queryKey[0] !== SESSION_KEY[0] && queryKey[0] !== 'access',
      }),
  })
  if (!useMayShowPayloads()) return null
  return (
    <>
      <button
        type="button"
        className={className}
        onClick={() => {
          setOpen(true)
          look.mutate()
        }}
      >
        Show payload
      </button>
      {isOpen && (
        <Dialog title={`Payload of ${name}`} onClose={() => setOpen(false)}>
          <div className="dialogForm">
            {look.isError && <Problem error={look.error} />}
            {look.isPending && <Skeleton kind="line" count={3} />}
            {look.isSuccess && (
              <>
                <pre className="payload" tabIndex={0} aria-label="Payload">
                  {JSON.stringify(look.data.payload, null, 2)}
                </pre>
                <p className="muted">
                  Without passwords, tokens and e-mail addresses. That you looked is recorded with
                  your name.
                </p>
              </>
            )}
            <div className="dialogActions">
              <button type="button" className="button" onClick={() => setOpen(false)}>
                Close
              </button>
            </div>
          </div>
        </Dialog>
      )}
    </>
  )
}
