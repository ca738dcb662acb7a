import { useAction } from '../../actions/useAction.ts'
import { Menu } from '../../parts/Menu.tsx'

interface KeyMenuProps {
  name: string
  of: string
  isPaused: boolean
  isParked: boolean
  /** The numbers that a person has set; undefined where none can be set. */
  perKey: number | null | undefined
}

/** What can be done about the work of a key. */
export function KeyMenu({ name, of: key, isPaused, isParked, perKey }: KeyMenuProps) {
  const act = useAction()
  return (
    <Menu
      label={`Actions for the key ${key}`}
      items={[
        act !== null &&
          isParked && {
            label: 'Try now',
            onChoose: () => act({ kind: 'unparkKey', name, key }),
          },
        act !== null && {
          label: isPaused ? 'Resume' : 'Pause',
          onChoose: () => act({ kind: isPaused ? 'resumeWorkOfKey' : 'pauseWorkOfKey', name, key }),
        },
        act !== null &&
          perKey !== undefined && {
            label: 'Limit',
            onChoose: () => act({ kind: 'limitKey', name, key, now: perKey }),
          },
        { label: 'Waiting work', link: { to: '/waiting', search: { name, key } } },
        { label: 'Dead letters', link: { to: '/dead-letters', search: { name, key } } },
        { label: 'Runs', link: { to: '/runs', search: { name, key } } },
      ]}
    />
  )
}
