import { useClock } from '../services/useClock.ts'
import { formatDuration } from '../time/formatDuration.ts'

/** How long something has been under way, counting on. */
export function Elapsed({ since }: { since: string }) {
  const from = new Date(since).getTime()
  return useClock((now) => formatDuration(Math.max(0, Math.floor((now - from) / 1_000) * 1_000)))
}
