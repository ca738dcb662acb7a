import type { RunDetail } from '@roundsman/admin/contract'
import { DANGEROUS_LOSSES } from '../../actions/action.ts'
import { CancelWork } from '../../actions/CancelWork.tsx'
import { useAction } from '../../actions/useAction.ts'
import { countLosses } from './Attempts.tsx'
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
  // Once more would end another worker, also as new work.
  const isDangerous = countLosses(run) >= DANGEROUS_LOSSES
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
      {run.work.isDeadLetter && run.workId !== null && <Retry run={run} workId={run.workId} />}
      {isDangerous && run.work.nextAt !== null && run.workId !== null && (
        <CancelWork name={name} workId={run.workId} />
      )}
      {!isDangerous && <RunAgain run={run} />}
    </>
  )
}

function RunAgain({ run }: { run: RunDetail }) {
  const act = useAction()
  return (
    <button
      type="button"
      className="button"
      data-tip={
        run.work.isDeadLetter
          ? 'As new work with the same payload;\nthe dead letter stays'
          : 'As new work'
      }
      onClick={() => act?.({ kind: 'run', name: run.name, dryRun: run.dryRun, runId: run.id })}
    >
      Run again
    </button>
  )
}

/** Gives work that was given up back to the queue. */
function Retry({ run, workId }: { run: RunDetail; workId: string }) {
  const act = useAction()
  return (
    <button
      type="button"
      className="button isPrimary"
      data-tip={'The same work goes on, with its key and label;\nit is no dead letter any more'}
      onClick={() =>
        act?.({
          kind: 'redrive',
          name: run.name,
          workId,
          label: run.label,
          losses: run.work.losses ?? 0,
        })
      }
    >
      Retry
    </button>
  )
}
