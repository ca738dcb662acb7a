import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useRef, useState, type SubmitEvent } from 'react'
import { Dialog } from '../parts/Dialog.tsx'
import { Field } from '../parts/Field.tsx'
import { Problem } from '../parts/Problem.tsx'
import { ProgressBar } from '../parts/ProgressBar.tsx'
import { useServices } from '../services/useServices.ts'
import { SESSION_KEY } from '../session/sessionQuery.ts'
import {
  addAnswer,
  BULK_PATHS,
  describeBulk,
  describeDone,
  NOTHING_DONE,
  type Bulk,
  type BulkAnswer,
} from './bulk.ts'

export interface BulkDialogProps {
  bulk: Bulk
  onClose: () => void
  onDone: (text: string) => void
}

const MAX_REASON_LENGTH = 500

/**
 * Says how many there are, takes the reason, and does it part by part: it can be stopped between two of them, and after
 * one that failed it goes on from there.
 */
export function BulkDialog({ bulk, onClose, onDone }: BulkDialogProps) {
  const { api } = useServices()
  const queries = useQueryClient()
  const words = describeBulk(bulk)
  const [progress, setProgress] = useState(NOTHING_DONE)
  /** Where the next part begins, and whether there is to be one. */
  const state = useRef({ cursor: undefined as string | undefined, isStopped: false })

  const perform = useMutation({
    mutationFn: async (reason: string) => {
      let sum = progress
      do {
        const { cursor } = state.current
        const body = { ...bulk.target, reason, ...(cursor !== undefined && { cursor }) }
        const answer = await api.change<BulkAnswer>('POST', BULK_PATHS[bulk.what], body)
        sum = addAnswer(sum, answer)
        setProgress(sum)
        state.current.cursor = answer.nextCursor ?? undefined
      } while (state.current.cursor !== undefined && !state.current.isStopped)
      return sum
    },
    onSuccess: (sum) => onDone(describeDone(bulk.what, sum)),
    onSettled: () =>
      queries.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== SESSION_KEY[0] }),
  })

  function submit(event: SubmitEvent<HTMLFormElement>): void {
    event.preventDefault()
    const reason = new FormData(event.currentTarget).get('reason')
    state.current.isStopped = false
    perform.mutate(typeof reason === 'string' ? reason.trim() : '')
  }

  const total = progress.done + progress.left
  const isBegun = progress.done > 0
  return (
    // Escape while it works stops it, as the button does.
    <Dialog
      title={words.title}
      onClose={() => {
        if (perform.isPending) state.current.isStopped = true
        else onClose()
      }}
    >
      <form onSubmit={submit} className="dialogForm">
        <p>{words.explanation}</p>
        <Field label="Reason" hint="Recorded with your name, for each.">
          {(control) => (
            <input
              {...control}
              name="reason"
              required
              pattern=".*\S.*"
              maxLength={MAX_REASON_LENGTH}
              autoComplete="off"
              readOnly={perform.isPending}
            />
          )}
        </Field>
        {(perform.isPending || isBegun) && (
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
          <button
            type="button"
            className="button"
            onClick={() => {
              if (perform.isPending) state.current.isStopped = true
              else onClose()
            }}
          >
            {perform.isPending ? 'Stop' : bulk.what === 'cancel' ? 'Let them go on' : 'Cancel'}
          </button>
          <button
            type="submit"
            className={words.isDangerous ? 'button isDangerous' : 'button isPrimary'}
            disabled={perform.isPending}
          >
            {perform.isPending ? 'Working…' : isBegun ? 'Go on' : words.confirm}
          </button>
        </div>
      </form>
    </Dialog>
  )
}
