const UNITS_MS = { min: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 } as const
const DAY_MS = UNITS_MS.d

/**
 * Reads an instant as people write it: `2026-11-24 09:00` on the viewer's clock, the same with a zone, a day, `today`,
 * `yesterday`, or `3 h ago`. Returns ISO 8601 in UTC; null for anything else.
 */
export function readInstant(text: string, now: number): string | null {
  const words = text.trim().toLowerCase()
  if (words === 'now') return new Date(now).toISOString()
  if (words === 'today') return startOfDay(now)
  if (words === 'yesterday') return startOfDay(now - DAY_MS)
  const ago = /^(\d{1,4}) ?(min|h|d|w)( ago)?$/.exec(words)
  if (ago) {
    const unit = ago[2] as keyof typeof UNITS_MS
    return new Date(now - Number(ago[1]) * UNITS_MS[unit]).toISOString()
  }
  const written =
    /^(\d{4}-\d\d-\d\d)(?:[t ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?) ?(z|utc|[+-]\d\d:\d\d)?)?$/.exec(
      words,
    )
  if (!written) return null
  const [, day = '', time = '00:00', zone = ''] = written
  // Without a zone, JavaScript reads a date with a time by the viewer's clock.
  const date = new Date(`${day}T${time}${zone === 'utc' ? 'Z' : zone.toUpperCase()}`)
  // JavaScript would turn the 31st of a month of 30 days into the first of the next.
  return isKnown(date) && isOnCalendar(day) ? date.toISOString() : null
}

/** Whether the server knows it: an instant of the years 1 to 9999. */
export function isKnown(date: Date): boolean {
  const year = date.getUTCFullYear()
  return year >= 1 && year <= 9_999
}

/** Writes an instant as readInstant reads it: `2026-11-24 09:00` on the viewer's clock; empty for none. */
export function writeInstant(instant: string | undefined): string {
  if (instant === undefined) return ''
  const date = new Date(instant)
  if (Number.isNaN(date.getTime())) return ''
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 16).replace('T', ' ')
}

function startOfDay(instant: number): string {
  const date = new Date(instant)
  date.setHours(0, 0, 0, 0)
  return date.toISOString()
}

function isOnCalendar(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day)
}
