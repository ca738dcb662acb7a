import type { ConsoleJob } from '@roundsman/admin/contract'
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
      <button
        type="button"
        className="button isSmall"
        aria-label={`Run now: ${name}`}
        onClick={() => act({ kind: 'run', name, dryRun: false })}
      >
        Run now
      </button>
      <button
        type="button"
        className="button isSmall"
        aria-label={`Dry run: ${name}`}
        onClick={() => act({ kind: 'run', name, dryRun: true })}
      >
        Dry run
      </button>
      {/* One button for both: it keeps the focus when its meaning changes. */}
      {(schedule !== null || paused !== null) && (
        <button
          type="button"
          className={paused === null ? 'button isSmall' : 'button isSmall isPrimary'}
          aria-label={`${paused === null ? 'Pause' : 'Resume'} schedule: ${name}`}
          onClick={() => act({ kind: paused === null ? 'pause' : 'resume', name })}
        >
          {paused === null ? 'Pause schedule' : 'Resume schedule'}
        </button>
      )}
    </div>
  )
}
