import { useAction } from '../../actions/useAction.ts'

/** One button for both: it keeps the focus when its meaning changes. */
export function KeyPause(props: { name: string; of: string; isPaused: boolean }) {
  const { name, of: key, isPaused } = props
  const act = useAction()
  if (act === null) return null
  return (
    <button
      type="button"
      className={isPaused ? 'button isSmall isPrimary' : 'button isSmall isQuiet'}
      aria-label={`${isPaused ? 'Resume' : 'Pause'} the work of ${key}`}
      onClick={() => act({ kind: isPaused ? 'resumeWorkOfKey' : 'pauseWorkOfKey', name, key })}
    >
      {isPaused ? 'Resume' : 'Pause'}
    </button>
  )
}
