import { useSyncExternalStore } from 'react'
import { useServices } from './useServices.ts'

/**
 * What `read` makes of the time, kept current. Only when that changes is anything drawn again, so that a
 * hundred times on a screen cost nothing while they say the same.
 */
export function useClock<Text extends string | number | boolean>(
  read: (now: number) => Text,
): Text {
  const { clock } = useServices()
  return useSyncExternalStore(clock.subscribe, () => read(clock.now()))
}
