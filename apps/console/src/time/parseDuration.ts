const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  min: 60_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** `90`, `90 s`, `1.5 min` or `2 h 30 min` in whole milliseconds; seconds without a unit. Null for anything else. */
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
