/** An instant to the second, on the viewer's clock and in UTC. */
export interface ExactTime {
  local: string
  utc: string
}

/** Default of `timeZone`: the viewer's. */
export function formatExact(instant: string, timeZone?: string): ExactTime {
  const date = new Date(instant)
  if (Number.isNaN(date.getTime())) return { local: instant, utc: instant }
  return {
    local: `${wallClock(date, timeZone)} ${read(date, timeZone)['timeZoneName'] ?? 'local'}`,
    utc: `${wallClock(date, 'UTC')} UTC`,
  }
}

/**
 * Writes an instant with a line for each clock that differs: the viewer's, UTC, and that of another zone, which is
 * named.
 */
export function exactLines(instant: string, otherZone?: string, viewerZone?: string): string[] {
  const date = new Date(instant)
  const { local, utc } = formatExact(instant, viewerZone)
  if (Number.isNaN(date.getTime())) return [local]
  const lines = new Map([[wallClock(date, viewerZone), local]])
  for (const [zone, line] of [['UTC', utc] as const, [otherZone, undefined] as const]) {
    if (zone === undefined) continue
    const shown = wallClock(date, zone)
    if (!lines.has(shown)) lines.set(shown, line ?? `${shown} ${zone}`)
  }
  return [...lines.values()]
}

/** Whether a zone's clock differs from the viewer's at an instant. */
export function differsFromViewer(instant: string, timeZone: string, viewerZone?: string): boolean {
  const date = new Date(instant)
  return wallClock(date, timeZone) !== wallClock(date, viewerZone)
}

/** Writes `Tue 24 Nov, 04:00` by the clock of a zone, with the year where it is not this one. Default: the viewer's zone. */
export function formatShort(instant: string, timeZone?: string, now: number = Date.now()): string {
  const date = new Date(instant)
  return `${day(date, timeZone, now)}, ${clock(date, timeZone)}`
}

/** `04:00` on the viewer's wall clock. */
export function formatClock(instant: string, timeZone?: string): string {
  return clock(new Date(instant), timeZone)
}

/** Writes `04:00` of the day that it is by the clock of a zone, and names any other day. Default: the viewer's zone. */
export function formatRecent(instant: string, now: number, timeZone?: string): string {
  const date = new Date(instant)
  const isToday = day(date, timeZone) === day(new Date(now), timeZone)
  return isToday ? clock(date, timeZone) : formatShort(instant, timeZone, now)
}

/** Writes `Tue 24 Nov` for a calendar date such as `2026-11-24`, with the year where it is not this one. */
export function nameDate(date: string, now: number = Date.now()): string {
  return day(new Date(`${date}T00:00:00Z`), 'UTC', now)
}

/** `04:00:07` on the viewer's wall clock. */
export function formatSeconds(instant: string, timeZone?: string): string {
  const date = new Date(instant)
  return `${clock(date, timeZone)}:${read(date, timeZone)['second']}`
}

/** `04:00:07.120` on the viewer's wall clock. */
export function formatMillis(instant: string, timeZone?: string): string {
  return `${formatSeconds(instant, timeZone)}.${new Date(instant).toISOString().slice(20, 23)}`
}

/** Writes `Tue 24 Nov 2026, 04:00:12`. */
function wallClock(date: Date, timeZone: string | undefined): string {
  return `${day(date, timeZone)}, ${clock(date, timeZone)}:${read(date, timeZone)['second']}`
}

function clock(date: Date, timeZone: string | undefined): string {
  const { hour, minute } = read(date, timeZone)
  return `${hour}:${minute}`
}

/** With the year, unless it is that of `now`. */
function day(date: Date, timeZone: string | undefined, now?: number): string {
  const { weekday, day: number, month, year } = read(date, timeZone)
  const isThisYear = now !== undefined && year === read(new Date(now), timeZone)['year']
  return `${weekday} ${number} ${month}${isThisYear ? '' : ` ${year}`}`
}

const FORMATS = new Map<string | undefined, Intl.DateTimeFormat>()

function read(date: Date, timeZone: string | undefined): Record<string, string> {
  // One locale for everybody, because the words around the times are English, too.
  const format =
    FORMATS.get(timeZone) ??
    new Intl.DateTimeFormat('en-GB', {
      hourCycle: 'h23',
      weekday: 'short',
      year: 'numeric',
      month: 'short',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      timeZoneName: 'short',
      timeZone,
    })
  FORMATS.set(timeZone, format)
  return Object.fromEntries(format.formatToParts(date).map(({ type, value }) => [type, value]))
}
