import type { ConsoleAccess, HeldPayload } from '@roundsman/admin/contract'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { createContext, useContext, useEffect, useRef, useState } from 'react'
import { Button } from '../parts/Button.tsx'
import { Dialog } from '../parts/Dialog.tsx'
import { Problem } from '../parts/Problem.tsx'
import { Skeleton } from '../parts/Skeleton.tsx'
import { useServices } from '../services/useServices.ts'
import { isBesideSession } from '../session/sessionQuery.ts'
import { asApiError } from '../api/apiError.ts'
import { parsePayload, payloadProblems } from './payload.ts'
import { PayloadField } from './PayloadField.tsx'
import { readReason, ReasonField } from './ReasonField.tsx'
import { useAction } from './useAction.ts'

export interface Whose {
  /** Where the API has what the payload is of, below `/jobs`. */
  of: `runs/${string}` | `work/${string}`
  /** Shows the result of this step instead of the payload. */
  step?: { step: string; item: string }
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
export function PayloadDialog({
  whose,
  onClose,
  onDone,
}: {
  whose: Whose
  onClose: () => void
  onDone: (text: string) => void
}) {
  // The result of a step is no payload for new work.
  const mayCopy = useAction() !== null && whose.step === undefined
  const what = whose.step === undefined ? 'Payload' : 'Result'
  const [isCopying, setIsCopying] = useState(false)
  const { api } = useServices()
  const queries = useQueryClient()
  const isAsked = useRef(false)
  const { mutate, data, error } = useMutation({
    mutationFn: () =>
      api.change<HeldPayload>(
        'POST',
        `/jobs/${whose.of}/${whose.step ? 'steps/' : ''}payload`,
        whose.step,
      ),
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
  if (isCopying && data !== undefined)
    return <CopyDialog whose={whose} payload={data.payload} onClose={onClose} onDone={onDone} />
  return (
    <Dialog title={`${what} of ${whose.name}`} onClose={onClose}>
      <div className="dialogForm">
        {error !== null && <Problem error={error} />}
        {error === null && data === undefined && <Skeleton kind="line" count={3} />}
        {data !== undefined && (
          <>
            <pre className="payload" tabIndex={0} aria-label={what}>
              {JSON.stringify(data.payload, null, 2)}
            </pre>
            <p className="muted">
              Without passwords, tokens and e-mail addresses. That you looked is recorded with your
              name.
            </p>
          </>
        )}
        <div className="dialogActions">
          {mayCopy && data !== undefined && (
            <Button onClick={() => setIsCopying(true)}>Copy with changes</Button>
          )}
          <Button onClick={onClose}>Close</Button>
        </div>
      </div>
    </Dialog>
  )
}

/** Enqueues the same work once more, with a payload that somebody has changed. */
function CopyDialog({
  whose,
  payload,
  onClose,
  onDone,
}: {
  whose: Whose
  payload: HeldPayload['payload']
  onClose: () => void
  onDone: (text: string) => void
}) {
  const { api } = useServices()
  const queries = useQueryClient()
  const [said, setSaid] = useState('')
  const { mutate, error, isPending } = useMutation({
    mutationFn: (body: { reason: string; payload: Record<string, unknown> }) =>
      api.change('POST', `/jobs/${whose.of}/run-again`, body),
    onError: (refused) => setSaid(payloadProblems(asApiError(refused).issues)),
    onSuccess: () => onDone(`A copy of ${whose.name} was enqueued`),
    onSettled: () => void queries.invalidateQueries({ predicate: isBesideSession }),
  })
  return (
    <Dialog title={`Copy of ${whose.name}`} onClose={onClose}>
      <form
        className="dialogForm"
        onSubmit={(event) => {
          event.preventDefault()
          const form = new FormData(event.currentTarget)
          const read = parsePayload(form.get('payload'))
          setSaid('problem' in read ? read.problem : '')
          if (!isPending && 'payload' in read)
            mutate({ reason: readReason(form), payload: read.payload })
        }}
      >
        <p>A worker runs it as new work. The work that you copy stays as it is.</p>
        <PayloadField
          initial={JSON.stringify(payload, null, 2)}
          hint="What you leave as it is shown stays what it was."
          problem={said}
        />
        <ReasonField />
        {error !== null && said === '' && <Problem error={error} />}
        <div className="dialogActions">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="isPrimary" disabled={isPending}>
            {isPending ? 'Sending…' : 'Enqueue the copy'}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
