import type { RunDetail } from '@roundsman/admin/contract'
import { DANGEROUS_LOSSES } from '../../actions/action.ts'
import { ActButton } from '../../actions/ActButton.tsx'
import { CancelWork } from '../../actions/CancelWork.tsx'
import { useAction } from '../../actions/useAction.ts'
import { countLosses } from './Attempts.tsx'
import { readRunDetails } from '../../api/readRunDetails.ts'
import { Button } from '../../parts/Button.tsx'
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
      <Button
        look="isDangerous"
        // A disabled button would lose the focus, which people need once the run has ended.
        {...(isStopping && { 'aria-disabled': true })}
        onClick={() => {
          if (!isStopping) act({ kind: 'cancel', name, runId: id })
        }}
      >
        {isStopping ? 'Stopping…' : 'Cancel'}
      </Button>
    )
  }
  // Once more would end another worker, also as new work.
  const isDangerous = countLosses(run) >= DANGEROUS_LOSSES
  const isBlocked = error?.code === 'guard_blocked' && run.approvedAt === null && isRecent
  const { workId, label, work } = run
  return (
    <>
      {isBlocked && guard !== null && (
        <ActButton look="isPrimary" action={{ kind: 'approve', name, runId: id, due: guard.due }}>
          Approve
        </ActButton>
      )}
      {work.isDeadLetter && workId !== null && (
        <ActButton
          look="isPrimary"
          data-tip={'The same work goes on, with its key and label;\nit is no dead letter any more'}
          action={{ kind: 'redrive', name, workId, label, losses: work.losses ?? 0 }}
        >
          Retry
        </ActButton>
      )}
      {isDangerous && work.nextAt !== null && workId !== null && (
        <CancelWork name={name} workId={workId} />
      )}
      {!isDangerous && (
        <ActButton
          data-tip={
            work.isDeadLetter
              ? 'As new work with the same payload;\nthe dead letter stays'
              : 'As new work'
          }
          action={{ kind: 'run', name, dryRun: run.dryRun, runId: id }}
        >
          Run again
        </ActButton>
      )}
    </>
  )
}
