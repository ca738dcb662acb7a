/** Formats numbers, spans and lists for people. */

/** Formats `100,000`, or `over 100,000` if counting has stopped there. */
export const counted = (count: number, isCut = false) =>
  `${isCut ? 'over ' : ''}${count.toLocaleString('en')}`

/** Formats `1 run`, `over 5,000 runs`. */
export const many = (count: number, thing: string, isCut = false) =>
  `${counted(count, isCut)} ${thing}${count === 1 && !isCut ? '' : 's'}`

/** Formats `1 piece of work waits`, `over 100,000 pieces of work wait`. */
export const waits = (count: number, isCut = false) =>
  count === 1 && !isCut ? '1 piece of work waits' : `${counted(count, isCut)} pieces of work wait`

const UNITS = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
] as const

/** Formats a span in its largest unit, rounded down: `47 s`, `15 min`, `23 d`. */
export function inWords(ms: number): string {
  const [unitMs, unit] = UNITS.find(([each]) => ms >= each) ?? UNITS[3]
  return `${Math.max(1, Math.floor(ms / unitMs)).toLocaleString('en')} ${unit}`
}

/** Formats the span from an instant until now. */
export const spanSince = (instant: string, now: Date) =>
  inWords(now.getTime() - Date.parse(instant))

const MAX_NAMED = 3

/** Formats `a`, `a, b and c`, `a, b and 4 others`. */
export function listed(names: readonly string[]): string {
  const shown = names.length > MAX_NAMED ? names.slice(0, MAX_NAMED - 1) : names
  const left = names.length - shown.length
  const all = left === 0 ? shown : [...shown, `${left} others`]
  return all.length < 2 ? (all[0] ?? '') : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`
}
