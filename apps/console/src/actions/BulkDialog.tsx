import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState, type SubmitEvent } from 'react'
import { Dialog } from '../parts/Dialog.tsx'
import { Field } from '../parts/Field.tsx'
import { Problem } from '../parts/Problem.tsx'
import { ProgressBar } from '../parts/ProgressBar.tsx'
import { useServices } from '../services/useServices.ts'
import { SESSION_KEY } from '../session/sessionQuery.ts'
import {
  addAnswer,
  BULK_PATHS,
  bulkDetails,
  countSettled,
  describeBulk,
  describeDone,
  isUnfinished,
  NOTHING_DONE,
  type Bulk,
  type BulkAnswer,
} from './bulk.ts'
import { ValueField } from './ValueField.tsx'

export interface BulkDialogProps {
  bulk: Bulk
  onClose: () => void
  onDone: (text: string) => void
}

const MAX_REASON_LENGTH = 500

/**
 * Says how many there are, takes the reason, and acts on them part by part. People can stop it between two parts, and
 * after one that failed it goes on from there.
 */
export function BulkDialog({ bulk, onClose, onDone }: BulkDialogProps) {
  const { api, clock } = useServices()
  const queries = useQueryClient()
  const words = describeBulk(bulk)
  const { what, targets } = bulk
  const isByIds = targets.every((target) => 'ids' in target)
  const [progress, setProgress] = useState(NOTHING_DONE)
  /** Where the next part begins, whether there is one under way and is to be another, and what all of them say. */
  const state = useRef({
    at: 0,
    cursor: undefined as string | undefined,
    isSent: false,
    isStopped: false,
    details: null as ReturnType<typeof bulkDetails> | null,
  })

  const perform = useMutation({
    mutationFn: async ({ reason, value }: { reason: string; value: number }) => {
      const part = state.current
      let sum = progress
      // Once: what it has postponed already would be postponed again by a later instant.
      if (part.details === null || sum.done === 0)
        part.details = bulkDetails(what, value, clock.now())
      while (part.at < targets.length && !part.isStopped) {
        const { at, cursor, details } = part
        const body = { ...targets[at], ...details, reason, ...(cursor !== undefined && { cursor }) }
        const answer = await api.change<BulkAnswer>('POST', BULK_PATHS[what], body)
        sum = addAnswer(sum, answer)
        setProgress(sum)
        part.cursor = answer.nextCursor ?? undefined
        if (!isUnfinished(answer)) part.at += 1
      }
      const isAll = part.at >= targets.length - 1
      return isAll ? sum : { ...sum, left: Math.max(sum.left, bulk.count - countSettled(sum)) }
    },
    onSuccess: (sum) =>
      onDone(describeDone(what, sum, isByIds && bulk.isAtMost !== true ? bulk.count : undefined)),
    onSettled: () => {
      state.current.isSent = false
      void queries.invalidateQueries({
        predicate: ({ queryKey }) => queryKey[0] !== SESSION_KEY[0],
      })
    },
  })
  const { isPending } = perform

  // The page does the parts: whoever leaves it before the last is asked first.
  useEffect(() => {
    if (!isPending) return undefined
    const ask = (event: BeforeUnloadEvent) => event.preventDefault()
    addEventListener('beforeunload', ask)
    return () => removeEventListener('beforeunload', ask)
  }, [isPending])

  function stopOrClose(): void {
    if (isPending) state.current.isStopped = true
    else onClose()
  }

  function submit(event: SubmitEvent<HTMLFormElement>): void {
    event.preventDefault()
    // The second of two clicks may come before the button is disabled.
    if (state.current.isSent) return
    const form = new FormData(event.currentTarget)
    const reason = form.get('reason')
    state.current.isSent = true
    state.current.isStopped = false
    perform.mutate({
      reason: typeof reason === 'string' ? reason.trim() : '',
      value: Number(form.get('value')),
    })
  }

  const known = progress.done + progress.left
  // An answer tells what is left of its own target alone.
  const total =
    targets.length === 1
      ? known
      : Math.max(known, bulk.count - countSettled(progress) + progress.done)
  const isBegun = progress.done > 0
  return (
    // While it works, Escape stops it, as the button does.
    <Dialog title={words.title} onClose={stopOrClose}>
      <form onSubmit={submit} className="dialogForm">
        <p>{words.explanation}</p>
        {words.asks !== undefined && <ValueField of={words.asks} isFixed={isBegun} />}
        <Field label="Reason" hint="Recorded with your name, for each.">
          {(control) => (
            <input
              {...control}
              name="reason"
              required
              pattern=".*\S.*"
              maxLength={MAX_REASON_LENGTH}
              autoComplete="off"
              readOnly={isPending}
            />
          )}
        </Field>
        {(isPending || isBegun) && (
          <p role="status">
            {words.doing}{' '}
            <ProgressBar
              label={words.title}
              progress={isBegun ? { done: progress.done, total } : { done: 0, total: bulk.count }}
            />
          </p>
        )}
        {perform.isError && <Problem error={perform.error} />}
        <div className="dialogActions">
          <button type="button" className="button" onClick={stopOrClose}>
            {isPending ? 'Stop' : (NEVER_MIND[what] ?? 'Cancel')}
          </button>
          <button
            type="submit"
            className={words.isDangerous ? 'button isDangerous' : 'button isPrimary'}
            disabled={isPending}
          >
            {isPending ? 'Working…' : isBegun ? 'Go on' : words.confirm}
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
