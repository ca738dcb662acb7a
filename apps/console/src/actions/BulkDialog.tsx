import type { Acted } from '@roundsman/admin/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useRef, useState, type SubmitEvent } from 'react'
import { Button } from '../parts/Button.tsx'
import { Dialog } from '../parts/Dialog.tsx'
import { InputField, SelectField } from '../parts/Field.tsx'
import { Problem } from '../parts/Problem.tsx'
import { ProgressBar } from '../parts/ProgressBar.tsx'
import { useServices } from '../services/useServices.ts'
import { isBesideSession } from '../session/sessionQuery.ts'
import {
  addResult,
  bulkRequest,
  describeBulk,
  describeDone,
  progressOf,
  type Bulk,
  type BulkResult,
} from './bulk.ts'
import { readReason, ReasonField } from './ReasonField.tsx'

export interface BulkDialogProps {
  bulk: Bulk
  onClose: () => void
  onDone: (text: string) => void
}

/** Says how many there are, takes the reason, and calls the server until nothing is left or somebody stops it. */
export function BulkDialog({ bulk, onClose, onDone }: BulkDialogProps) {
  const { api, clock } = useServices()
  const queries = useQueryClient()
  const words = describeBulk(bulk)
  const { what, count } = bulk
  const isSent = useRef(false)
  const isStopped = useRef(false)
  // After a failure the act goes on where it was.
  const begun = useRef<object | null>(null)
  const [result, setResult] = useState<BulkResult | null>(null)

  const perform = useMutation({
    mutationFn: async ({ reason, value }: { reason: string; value: number }) => {
      let request = begun.current ?? { ...bulkRequest(bulk, value, clock.now()), reason }
      let sum = result ?? { done: 0, passed: {}, left: count }
      do {
        const answer: Acted = await api.change('POST', '/jobs/bulk', request)
        begun.current = request = { ...request, mark: answer.mark }
        sum = addResult(sum, answer)
        setResult(sum)
      } while (sum.left > 0 && !isStopped.current)
      return sum
    },
    onSuccess: (sum) => onDone(describeDone(bulk, sum)),
    onSettled: () => {
      isSent.current = false
      void queries.invalidateQueries({ predicate: isBesideSession })
    },
  })
  const { isPending } = perform
  const isFixed = isPending || result !== null

  /** The call under way is finished first, unless somebody asks twice. */
  function stop(): void {
    if (!isPending || isStopped.current) onClose()
    isStopped.current = true
  }

  function submit(event: SubmitEvent<HTMLFormElement>): void {
    event.preventDefault()
    // The second of two clicks may come before the button is disabled.
    if (isSent.current) return
    const form = new FormData(event.currentTarget)
    isSent.current = true
    isStopped.current = false
    perform.mutate({
      reason: readReason(form),
      value: Number(form.get('value')),
    })
  }

  return (
    <Dialog title={words.title} onClose={stop}>
      <form onSubmit={submit} className="dialogForm">
        <p>{words.explanation}</p>
        {words.asks !== undefined && <ValueField of={words.asks} isFixed={isFixed} />}
        <ReasonField isFixed={isFixed} />
        {result !== null && (
          <p>
            <ProgressBar label="Progress" progress={progressOf(result, count)} /> If you close this
            page, the rest does not change.
          </p>
        )}
        {perform.isError && <Problem error={perform.error} />}
        <div className="dialogActions">
          <Button onClick={stop}>{isFixed ? 'Stop' : (NEVER_MIND[what] ?? 'Cancel')}</Button>
          <Button
            type="submit"
            look={words.isDangerous ? 'isDangerous' : 'isPrimary'}
            disabled={isPending}
          >
            {isPending ? 'Working…' : result === null ? words.confirm : 'Continue'}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

/** On the button that does nothing, where `Cancel` could mean either. */
const NEVER_MIND: Partial<Record<Bulk['what'], string>> = {
  cancel: 'Keep them running',
  cancelWork: 'Keep it',
}

const DELAYS = [
  ['10 minutes', 600_000],
  ['1 hour', 3_600_000],
  ['6 hours', 21_600_000],
  ['1 day', 86_400_000],
  ['1 week', 604_800_000],
] as const

/** By how much to postpone, or which priority. */
function ValueField({ of, isFixed }: { of: 'delay' | 'priority'; isFixed: boolean }) {
  if (of === 'delay') {
    return (
      <SelectField label="Not before" name="value" defaultValue={3_600_000} disabled={isFixed}>
        {DELAYS.map(([words, ms]) => (
          <option key={ms} value={ms}>
            {words} from now
          </option>
        ))}
      </SelectField>
    )
  }
  return (
    <InputField
      label="Priority"
      hint="A whole number. A higher one starts sooner."
      name="value"
      type="number"
      step={1}
      min={-1_000_000}
      max={1_000_000}
      defaultValue={10}
      required
      readOnly={isFixed}
    />
  )
}
