import type { BulkAct } from '@roundsman/admin/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useRef, type SubmitEvent } from 'react'
import { Dialog } from '../parts/Dialog.tsx'
import { InputField, SelectField } from '../parts/Field.tsx'
import { Problem } from '../parts/Problem.tsx'
import { useServices } from '../services/useServices.ts'
import { isBesideSession } from '../session/sessionQuery.ts'
import { bulkRequest, describeBulk, describeDone, type Bulk } from './bulk.ts'
import { readReason, ReasonField } from './ReasonField.tsx'

export interface BulkDialogProps {
  bulk: Bulk
  onClose: () => void
  onDone: (text: string) => void
}

/** Says how many there are, takes the reason, and has the server act on them. That goes on whoever leaves the page. */
export function BulkDialog({ bulk, onClose, onDone }: BulkDialogProps) {
  const { api, clock } = useServices()
  const queries = useQueryClient()
  const words = describeBulk(bulk)
  const { what, which, count, isAtMost } = bulk
  const isSent = useRef(false)

  const perform = useMutation({
    mutationFn: async ({ reason, value }: { reason: string; value: number }) => {
      const request = { ...bulkRequest(bulk, value, clock.now()), reason }
      return await api.change<BulkAct>('POST', '/jobs/bulk', request)
    },
    onSuccess: (act) => {
      const asked = 'ids' in which && isAtMost !== true ? count : undefined
      onDone(act.endedAt === null ? `${words.doing}: it goes on` : describeDone(act, asked))
    },
    onSettled: () => {
      isSent.current = false
      void queries.invalidateQueries({ predicate: isBesideSession })
    },
  })
  const { isPending } = perform

  function submit(event: SubmitEvent<HTMLFormElement>): void {
    event.preventDefault()
    // The second of two clicks may come before the button is disabled.
    if (isSent.current) return
    const form = new FormData(event.currentTarget)
    isSent.current = true
    perform.mutate({
      reason: readReason(form),
      value: Number(form.get('value')),
    })
  }

  return (
    <Dialog title={words.title} onClose={onClose}>
      <form onSubmit={submit} className="dialogForm">
        <p>{words.explanation}</p>
        {words.asks !== undefined && <ValueField of={words.asks} isFixed={isPending} />}
        <ReasonField isFixed={isPending} />
        {perform.isError && <Problem error={perform.error} />}
        <div className="dialogActions">
          <button type="button" className="button" onClick={onClose}>
            {NEVER_MIND[what] ?? 'Cancel'}
          </button>
          <button
            type="submit"
            className={words.isDangerous ? 'button isDangerous' : 'button isPrimary'}
            disabled={isPending}
          >
            {isPending ? 'Working…' : words.confirm}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

/** On the button that does nothing, where `Cancel` could mean either. */
const NEVER_MIND: Partial<Record<Bulk['what'], string>> = {
  cancel: 'Let them go on',
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
      hint="A whole number; the higher, the sooner."
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
