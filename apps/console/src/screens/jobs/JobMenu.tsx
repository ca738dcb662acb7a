import type { ConsoleJob } from '@roundsman/admin/contract'
import type { Action } from '../../actions/action.ts'
import { useAction } from '../../actions/useAction.ts'
import { Menu } from '../../parts/Menu.tsx'

/** The actions on a job, in a list and on its page, and links to its pages. */
export function JobMenu({ job }: { job: ConsoleJob }) {
  const { name, schedule, paused, queuePaused, dryRun } = job
  const act = useAction()
  const item = (label: string, action: Action) =>
    act !== null && { label, onChoose: () => act(action) }
  return (
    <Menu
      label={`Actions for ${name}`}
      items={[
        item('Run now', { kind: 'run', name, dryRun: false }),
        dryRun && item('Dry run', { kind: 'run', name, dryRun: true }),
        paused !== null
          ? item('Resume its schedule', { kind: 'resume', name })
          : schedule !== null && item('Pause its schedule', { kind: 'pause', name }),
        queuePaused !== null
          ? item('Resume its queue', { kind: 'resumeQueue', name })
          : item('Pause its queue', { kind: 'pauseQueue', name }),
        act !== null && {
          label: 'Add a schedule by key',
          link: { to: '/jobs/$name/new-schedule', params: { name } },
        },
        { label: 'All its runs', link: { to: '/runs', search: { name } } },
        { label: 'Runs that failed', link: { to: '/runs', search: { name, status: 'failed' } } },
        { label: 'Waiting work', link: { to: '/waiting', search: { name } } },
        { label: 'Dead letters', link: { to: '/dead-letters', search: { name } } },
      ]}
    />
  )
}
