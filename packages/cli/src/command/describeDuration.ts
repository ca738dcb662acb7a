const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const

/** Formats `15 min`, `1 h 30 min`, `250 ms`: the two largest units, rounded down. */
export function describeDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  const first = UNITS.findIndex(([, unitMs]) => ms >= unitMs)
  let rest = ms
  const parts: string[] = []
  for (const [unit, unitMs] of UNITS.slice(first, first + 2)) {
    const count = Math.floor(rest / unitMs)
    rest -= count * unitMs
    if (count > 0) parts.push(`${count} ${unit}`)
  }
  return parts.join(' ')
}
