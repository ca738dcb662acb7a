import type { ConsoleJob } from '@roundsman/admin/contract'
import { Link } from '@tanstack/react-router'
import type { Action } from '../../actions/action.ts'
import { useAction } from '../../actions/useAction.ts'
import { Menu } from '../../parts/Menu.tsx'

/** The actions on a job in a list, and links to its pages. */
export function JobMenu({ job }: { job: ConsoleJob }) {
  const { name, schedule, paused, queuePaused, dryRun } = job
  const act = useAction()
  const item = (label: string, action: Action) =>
    act !== null && (
      <button
        type="button"
        role="menuitem"
        tabIndex={-1}
        className="menuItem"
        onClick={() => act(action)}
      >
        {label}
      </button>
    )
  return (
    <Menu label={`Actions for ${name}`}>
      {item('Run now', { kind: 'run', name, dryRun: false })}
      {dryRun && item('Dry run', { kind: 'run', name, dryRun: true })}
      {paused !== null
        ? item('Resume its schedule', { kind: 'resume', name })
        : schedule !== null && item('Pause its schedule', { kind: 'pause', name })}
      {queuePaused !== null
        ? item('Resume its queue', { kind: 'resumeQueue', name })
        : item('Pause its queue', { kind: 'pauseQueue', name })}
      <Link
        to="/runs"
        search={{ name }}
        role="menuitem"
        tabIndex={-1}
        className={act === null ? 'menuItem' : 'menuItem isFirstOfGroup'}
      >
        All its runs
      </Link>
      <Link
        to="/runs"
        search={{ name, status: 'failed' }}
        role="menuitem"
        tabIndex={-1}
        className="menuItem"
      >
        Runs that failed
      </Link>
    </Menu>
  )
}
