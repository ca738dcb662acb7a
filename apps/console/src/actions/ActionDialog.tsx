import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState, type SubmitEvent } from 'react'
import { actionInWords } from '../api/actionInWords.ts'
import type { Earlier } from '@roundsman/admin/contract'
import { type ApiError, asApiError } from '../api/apiError.ts'
import { payloadQuery, runDetailQuery } from '../api/queries.ts'
import { Button } from '../parts/Button.tsx'
import { Dialog } from '../parts/Dialog.tsx'
import { InputField } from '../parts/Field.tsx'
import { Problem } from '../parts/Problem.tsx'
import { useServices } from '../services/useServices.ts'
import { isBesideSession } from '../session/sessionQuery.ts'
import type { Action } from './action.ts'
import { actionRequest, type ActionInput } from './actionRequest.ts'
import { describeAction, type ActionWords } from './describeAction.ts'
import { parsePayload, payloadProblems, payloadSkeleton, takesNothing } from './payload.ts'
import { PayloadField } from './PayloadField.tsx'
import { readReason, ReasonField } from './ReasonField.tsx'

export interface ActionDialogProps {
  action: Action
  onClose: () => void
  onDone: (text: string) => void
}

/**
 * Explains an action, takes its reason, payload or value, and does it. `onDone` gets the sentence that tells the
 * result.
 */
export function ActionDialog({ action, onClose, onDone }: ActionDialogProps) {
  const { api } = useServices()
  const queries = useQueryClient()
  const words = describeAction(action)
  const payload = usePayload(action)
  const asksPayload = payload.kind === 'given'
  const formElement = useRef<HTMLFormElement>(null)
  const [problem, setProblem] = useState('')
  const isSent = useRef(false)

  const perform = useMutation({
    mutationFn: async (input: ActionInput) => {
      const { method, path, body } = actionRequest(action, input)
      return await api.change<Done | undefined>(method, path, body)
    },
    onError: (error) => setProblem(payloadProblems(asApiError(error).issues)),
    onSuccess: (answer) => onDone(describeOutcome(words.done, answer ?? {})),
    // What was refused may have changed as well: somebody else was faster.
    onSettled: () => {
      isSent.current = false
      void queries.invalidateQueries({ predicate: isBesideSession })
    },
  })

  const isTooLate = perform.isError && isOver(asApiError(perform.error))

  // The payload's form appears once the server has described it, above the field that had the focus.
  useEffect(() => {
    if (asksPayload) focusPayload(formElement.current)
  }, [asksPayload])

  function submit(event: SubmitEvent<HTMLFormElement>): void {
    event.preventDefault()
    // The second of two clicks may come before the button is disabled.
    if (isSent.current) return
    const form = new FormData(event.currentTarget)
    const read = payload.kind === 'given' ? parsePayload(form.get('payload')) : { payload: {} }
    setProblem('problem' in read ? read.problem : '')
    if ('problem' in read) {
      perform.reset()
      return
    }
    isSent.current = true
    perform.mutate({
      reason: readReason(form),
      payload: payload.kind === 'held' ? null : read.payload,
      value: readNumber(form.get('value')),
      json: text(form.get('json')),
    })
  }

  return (
    <Dialog title={words.title} onClose={onClose}>
      <form ref={formElement} onSubmit={submit} className="dialogForm">
        <p>{words.explanation}</p>
        {payload.kind === 'held' && (
          <p className="muted">
            With the payload of that run, which the queue still holds.
            {payload.isDeadLetter &&
              ' The dead letter stays. To continue the same work, retry the dead letter instead.'}
          </p>
        )}
        {payload.kind === 'given' && (
          <PayloadField
            initial={payloadSkeleton(payload.schema)}
            hint="Payloads are not shown."
            problem={problem}
            schema={payload.schema}
          />
        )}
        {words.asks !== undefined && <NumberField asks={words.asks} />}
        {words.asksJson !== undefined && <JsonField {...words.asksJson} />}
        <ReasonField isNeeded={words.needsReason} />
        {words.warning !== undefined && (
          <label className="check">
            <input type="checkbox" required />
            {words.warning}
          </label>
        )}
        {/* Of a payload that was given, what is wrong is said there. */}
        {perform.isError && (problem === '' || !asksPayload) && <Problem error={perform.error} />}
        <div className="dialogActions">
          <Button onClick={onClose}>
            {isTooLate ? 'Close' : action.kind === 'cancel' ? 'Keep it running' : 'Cancel'}
          </Button>
          {!isTooLate && (
            <Button
              type="submit"
              look={words.isDangerous ? 'isDangerous' : 'isPrimary'}
              disabled={perform.isPending || payload.kind === 'unknown'}
            >
              {perform.isPending ? 'Sending…' : words.confirm}
            </Button>
          )}
        </div>
      </form>
    </Dialog>
  )
}

function NumberField({ asks }: { asks: NonNullable<ActionWords['asks']> }) {
  const { label, now, ...bounds } = asks
  return (
    <InputField
      label={label}
      hint="Empty: the limit in the code."
      {...bounds}
      name="value"
      type="number"
      defaultValue={now ?? ''}
    />
  )
}

function JsonField(words: NonNullable<ActionWords['asksJson']>) {
  return (
    <InputField
      {...words}
      name="json"
      onInput={({ currentTarget: input }) =>
        input.setCustomValidity(isJson(input.value) ? '' : 'This is not JSON')
      }
    />
  )
}

function isJson(typed: string): boolean {
  try {
    return typed.trim() === '' || JSON.parse(typed) !== undefined
  } catch {
    return false
  }
}

function readNumber(value: FormDataEntryValue | null): number | null {
  return typeof value === 'string' && value !== '' ? Number(value) : null
}

/** Whether to ask again would be refused again: somebody else has done it, or it has ended. */
function isOver({ status, earlier }: ApiError): boolean {
  return earlier !== null || status === 404
}

/** An answer to an action: the person who did it before, or whether a signal is a `duplicate`, a claim goes on, or no parent waits. */
interface Done {
  earlier?: Earlier
  outcome?: string
  pausing?: true
  unawaited?: true
}

function describeOutcome(done: string, { earlier, outcome, pausing, unawaited }: Done): string {
  if (unawaited) return `${done}. The work that waited for it has gone on: no step gets its result`
  if (pausing) return `${done}. A worker that is taking work may still start it`
  if (outcome === 'duplicate') return 'Somebody has sent this signal before'
  return earlier === undefined
    ? done
    : `${done}. Before, ${earlier.actor} ${actionInWords(earlier.action)}`
}

/** Moves the focus to the payload, unless somebody is typing a reason already. */
function focusPayload(form: HTMLFormElement | null): void {
  if (form === null || text(new FormData(form).get('reason')) !== '') return
  form.querySelector<HTMLElement>('[name="payload"]')?.focus()
}

/**
 * Where the payload of a run comes from.
 *   none     the job takes none, or this is no run
 *   held     the queue holds that of the run that is to be run again
 *   given    it has to be typed
 *   unknown  nobody has said yet
 */
type Payload =
  | { kind: 'none' | 'unknown' }
  | { kind: 'held'; isDeadLetter: boolean }
  | { kind: 'given'; schema: Readonly<Record<string, unknown>> | null }

/** Finds out whether the action needs a payload, and from where. It asks the server for the job's schema. */
function usePayload(action: Action): Payload {
  const { api } = useServices()
  const runId = action.kind === 'run' ? action.runId : undefined
  const run = useQuery({ ...runDetailQuery(api, runId ?? ''), enabled: runId !== undefined })
  const wanted = useQuery({ ...payloadQuery(api, action.name), enabled: action.kind === 'run' })
  if (action.kind !== 'run') return { kind: 'none' }
  if (run.data?.work.holdsPayload) return { kind: 'held', isDeadLetter: run.data.work.isDeadLetter }
  if ((run.isPending && runId !== undefined) || wanted.isPending) return { kind: 'unknown' }
  // If this can't be asked, the server refuses what does not fit.
  if (wanted.data === undefined) return { kind: 'none' }
  const { isNeeded, schema } = wanted.data
  return takesNothing(schema) && !isNeeded ? { kind: 'none' } : { kind: 'given', schema }
}

function text(value: FormDataEntryValue | null): string {
  return typeof value === 'string' ? value : ''
}
