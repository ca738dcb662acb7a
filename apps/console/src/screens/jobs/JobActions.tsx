import type { ConsoleJob } from '@roundsman/admin/contract'
import { ActButton } from '../../actions/ActButton.tsx'
import { useAction } from '../../actions/useAction.ts'

/** The actions on a job. */
export function JobActions({ job }: { job: ConsoleJob }) {
  const act = useAction()
  if (act === null) return null
  const { name, schedule, paused } = job
  return (
    <div
      className="jobActions"
      role="group"
      aria-label={`Actions for ${name}`}
      data-focus-home="control"
    >
      <ActButton aria-label={`Run now: ${name}`} action={{ kind: 'run', name, dryRun: false }}>
        Run now
      </ActButton>
      <ActButton aria-label={`Dry run: ${name}`} action={{ kind: 'run', name, dryRun: true }}>
        Dry run
      </ActButton>
      {/* One button for both: it keeps the focus when its meaning changes. */}
      {(schedule !== null || paused !== null) && (
        <ActButton
          look={paused === null ? undefined : 'isPrimary'}
          aria-label={`${paused === null ? 'Pause' : 'Resume'} schedule: ${name}`}
          action={{ kind: paused === null ? 'pause' : 'resume', name }}
        >
          {paused === null ? 'Pause schedule' : 'Resume schedule'}
        </ActButton>
      )}
    </div>
  )
}
