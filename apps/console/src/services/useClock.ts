import { useSyncExternalStore } from 'react'
import { useServices } from './useServices.ts'

/**
 * What `read` makes of the present time, kept current. A component is drawn again only when that changes, so that a
 * hundred times on a screen cost nothing while they say the same.
 */
export function useClock<Text extends string | number | boolean>(
  read: (now: number) => Text,
): Text {
  const { clock } = useServices()
  return useSyncExternalStore(clock.subscribe, () => read(clock.now()))
}
