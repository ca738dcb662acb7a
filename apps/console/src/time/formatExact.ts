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
    local: `${wallClock(date, timeZone)} ${zoneName(date, timeZone)}`,
    utc: `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`,
  }
}

/**
 * Writes an instant with a line for each clock that differs: the viewer's, UTC, and that of another zone, which is
 * named.
 */
export function exactLines(instant: string, otherZone?: string, viewerZone?: string): string[] {
  const date = new Date(instant)
  const { local, utc } = formatExact(instant, viewerZone)
  const lines = [local, utc]
  if (otherZone !== undefined && !Number.isNaN(date.getTime())) {
    lines.push(`${wallClock(date, otherZone)} ${otherZone}`)
  }
  const clocks = lines.map((line) => line.slice(0, WALL_CLOCK_LENGTH))
  return lines.filter((_, index) => clocks.indexOf(clocks[index] ?? '') === index)
}

/** The length of `2026-11-24 04:00:12`. */
const WALL_CLOCK_LENGTH = 19

/** Whether a zone's clock differs from the viewer's at an instant. */
export function differsFromViewer(instant: string, timeZone: string, viewerZone?: string): boolean {
  const date = new Date(instant)
  return wallClock(date, timeZone) !== wallClock(date, viewerZone)
}

/** Writes `Tue 24 Nov, 04:00` by the clock of a zone; default: the viewer's. */
export function formatShort(instant: string, timeZone?: string): string {
  const parts = read(new Date(instant), { weekday: 'short', ...SHORT, ...zone(timeZone) })
  return `${parts['weekday']} ${parts['day']} ${parts['month']}, ${parts['hour']}:${parts['minute']}`
}

/** `04:00` on the viewer's wall clock. */
export function formatClock(instant: string, timeZone?: string): string {
  const parts = read(new Date(instant), { hour: '2-digit', minute: '2-digit', ...zone(timeZone) })
  return `${parts['hour']}:${parts['minute']}`
}

/** Writes `04:00` of the day that it is by the clock of a zone, and names any other day. Default: the viewer's zone. */
export function formatRecent(instant: string, now: number, timeZone?: string): string {
  const isToday = dayOf(new Date(instant), timeZone) === dayOf(new Date(now), timeZone)
  return isToday ? formatClock(instant, timeZone) : formatShort(instant, timeZone)
}

const dayOf = (date: Date, timeZone: string | undefined) => wallClock(date, timeZone).slice(0, 10)

/** `04:00:07` on the viewer's wall clock. */
export function formatSeconds(instant: string, timeZone?: string): string {
  return wallClock(new Date(instant), timeZone).slice(11)
}

/** `04:00:07.120` on the viewer's wall clock. */
export function formatMillis(instant: string, timeZone?: string): string {
  return `${formatSeconds(instant, timeZone)}.${new Date(instant).toISOString().slice(20, 23)}`
}

const SHORT = { day: '2-digit', month: 'short', hour: '2-digit', minute: '2-digit' } as const

/** Writes `2026-11-24 04:00:12` by the clock of a zone. */
function wallClock(date: Date, timeZone: string | undefined): string {
  const parts = read(date, {
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    ...zone(timeZone),
  })
  const day = `${parts['year']}-${parts['month']}-${parts['day']}`
  return `${day} ${parts['hour']}:${parts['minute']}:${parts['second']}`
}

function zoneName(date: Date, timeZone: string | undefined): string {
  return read(date, { timeZoneName: 'short', ...zone(timeZone) })['timeZoneName'] ?? 'local'
}

function read(date: Date, options: Intl.DateTimeFormatOptions): Record<string, string> {
  // One locale for everybody, because the words around the times are English, too.
  const format = new Intl.DateTimeFormat('en-GB', { hourCycle: 'h23', ...options })
  return Object.fromEntries(format.formatToParts(date).map(({ type, value }) => [type, value]))
}

function zone(timeZone: string | undefined): Intl.DateTimeFormatOptions {
  return timeZone === undefined ? {} : { timeZone }
}
