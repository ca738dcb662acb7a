const UNITS = [
  { unit: 'd', ms: 86_400_000 },
  { unit: 'h', ms: 3_600_000 },
  { unit: 'min', ms: 60_000 },
  { unit: 's', ms: 1_000 },
] as const

/** Writes a length of time in at most two units, such as `340 ms`, `1.2 s`, `3 min 20 s`, `2 d`. */
export function formatDuration(durationMs: number): string {
  const ms = Math.max(0, Math.round(durationMs))
  if (ms < 1_000) return `${ms} ms`
  // Rounded first, so that 59.96 s is a minute and not `60 s`.
  const tenths = Math.round(ms / 100)
  if (tenths < 100) return `${tenths % 10 === 0 ? tenths / 10 : (tenths / 10).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  return inTwoUnits(seconds * 1_000)
}

/** Writes it in one whole unit, where exactness does not matter: `14 min`, `3 d`. */
export function formatRoughDuration(durationMs: number): string {
  const ms = Math.max(0, durationMs)
  const found = UNITS.find((candidate) => ms >= candidate.ms)
  return found ? `${Math.floor(ms / found.ms)} ${found.unit}` : '0 s'
}

function inTwoUnits(ms: number): string {
  const index = UNITS.findIndex((candidate) => ms >= candidate.ms)
  const first = UNITS[index]
  if (!first) return '0 s'
  const whole = Math.floor(ms / first.ms)
  const second = UNITS[index + 1]
  const rest = second ? Math.floor((ms % first.ms) / second.ms) : 0
  return second && rest > 0
    ? `${whole} ${first.unit} ${rest} ${second.unit}`
    : `${whole} ${first.unit}`
}

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  m: 60_000,
  ...Object.fromEntries(UNITS.map(({ unit, ms }) => [unit, ms])),
}

/**
 * Reads `90`, `90 s`, `1.5 min` or `2 h 30 min` into whole milliseconds; without a unit it means seconds. Null for
 * anything else.
 */
export function parseDuration(text: string): number | null {
  const parts = [...text.trim().matchAll(/\s*(\d{1,9}(?:\.\d{1,3})?)\s*([a-z]*)/gy)]
  const [first] = parts
  if (first === undefined || parts.map(([part]) => part).join('') !== text.trim()) return null
  if (parts.length === 1 && first[2] === '') return Math.round(Number(first[1]) * 1_000)
  let total = 0
  for (const [, amount, unit = ''] of parts) {
    const unitMs = UNITS_MS[unit]
    if (unitMs === undefined) return null
    total += Number(amount) * unitMs
  }
  return Math.round(total)
}

/** How a clock differs: `37 min ahead`, `2 min behind`. */
export function formatAhead(ms: number): string {
  return `${formatRoughDuration(Math.abs(ms))} ${ms < 0 ? 'behind' : 'ahead'}`
}
