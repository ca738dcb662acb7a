import { ActButton } from '../../actions/ActButton.tsx'

/** One button for both: it keeps the focus when its meaning changes. */
export function KeyPause(props: { name: string; of: string; isPaused: boolean }) {
  const { name, of: key, isPaused } = props
  return (
    <ActButton
      look={isPaused ? 'isPrimary' : 'isQuiet'}
      aria-label={`${isPaused ? 'Resume' : 'Pause'} the work of ${key}`}
      action={{ kind: isPaused ? 'resumeWorkOfKey' : 'pauseWorkOfKey', name, key }}
    >
      {isPaused ? 'Resume' : 'Pause'}
    </ActButton>
  )
}
