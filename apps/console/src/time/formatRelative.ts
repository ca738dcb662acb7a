import { formatRoughDuration } from './formatDuration.ts'

/** Clocks of a browser and a server, and the way between them, differ by about this much. */
const NOW_MS = 2_000

/** How far an instant is from now, in words: `3 min ago`, `in 2 h`, `now`. Both in epoch milliseconds. */
export function formatRelative(at: number, now: number): string {
  const distance = at - now
  if (Math.abs(distance) < NOW_MS) return 'now'
  const amount = formatRoughDuration(Math.abs(distance))
  return distance < 0 ? `${amount} ago` : `in ${amount}`
}
