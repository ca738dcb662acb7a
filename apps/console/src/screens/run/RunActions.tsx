import type { RunDetail } from '@roundsman/admin/contract'
import { useAction } from '../../actions/useAction.ts'
import { readRunDetails } from '../../api/readRunDetails.ts'
import { useClock } from '../../services/useClock.ts'

/** How long after its end a blocked run can be approved. */
const APPROVABLE_MS = 86_400_000

export function RunActions({ run }: { run: RunDetail }) {
  const act = useAction()
  const { error, guard } = readRunDetails(run.details)
  const isRecent = useClock(
    (now) => run.endedAt !== null && now - Date.parse(run.endedAt) < APPROVABLE_MS,
  )
  if (act === null) return null
  const { id, name } = run
  if (run.status === 'running') {
    const isStopping = run.cancelRequestedAt !== null
    return (
      <button
        type="button"
        className="button isDangerous"
        // A disabled button would lose the focus, which people need once the run has ended.
        {...(isStopping && { 'aria-disabled': true })}
        onClick={() => {
          if (!isStopping) act({ kind: 'cancel', name, runId: id })
        }}
      >
        {isStopping ? 'Stopping…' : 'Cancel'}
      </button>
    )
  }
  const isBlocked = error?.code === 'guard_blocked' && run.approvedAt === null && isRecent
  return (
    <>
      {isBlocked && guard !== null && (
        <button
          type="button"
          className="button isPrimary"
          onClick={() => act({ kind: 'approve', name, runId: id, due: guard.due })}
        >
          Approve
        </button>
      )}
      {run.work.isDeadLetter && run.workId !== null && <Retry name={name} workId={run.workId} />}
      <button
        type="button"
        className="button"
        data-tip={
          run.work.isDeadLetter
            ? 'As new work with the same payload;\nthe dead letter stays'
            : 'As new work'
        }
        onClick={() => act({ kind: 'run', name, dryRun: run.dryRun, runId: id })}
      >
        Run again
      </button>
    </>
  )
}

/** Gives work that was given up back to the queue. */
function Retry({ name, workId }: { name: string; workId: string }) {
  const act = useAction()
  return (
    <button
      type="button"
      className="button isPrimary"
      data-tip={'The same work goes on, with its key and label;\nit is no dead letter any more'}
      onClick={() => act?.({ kind: 'redrive', name, workId })}
    >
      Retry
    </button>
  )
}
