/** The effect of a clock change on a tick: it is the first after a skipped time, or at a time that comes twice. */
export type TickMark = 'afterGap' | 'repeatedHour'

/** An instant as local time of a zone. */
export interface LocalTime {
  /** `2026-11-24 09:30:00` */
  local: string
  /** `+01:00` */
  offset: string
  mark: TickMark | null
}

/** No zone has ever changed its offset by more than this, or twice within this time. */
const AROUND_MS = 3 * 3_600_000

/** Creates the clock of a zone. Create it once for many instants: creation takes longer than reading. */
export function createLocalTime(timeZone: string) {
  const offsetAt = offsetsOf(timeZone)
  return {
    /** The offset of the zone from UTC, in milliseconds. */
    offsetMs: (instant: Date): number => offsetAt(instant.getTime()),
    describe(instant: Date): LocalTime {
      const at = instant.getTime()
      const offsetMs = offsetAt(at)
      return {
        local: new Date(at + offsetMs).toISOString().slice(0, 19).replace('T', ' '),
        offset: formatOffset(offsetMs),
        mark: markOf(at, offsetAt),
      }
    },
  }
}

/** Whether the local time of an instant comes twice that day, or is the first after a skipped time. */
function markOf(at: number, offsetAt: (at: number) => number): TickMark | null {
  const [before, own, after] = [offsetAt(at - AROUND_MS), offsetAt(at), offsetAt(at + AROUND_MS)]
  if (own > before && offsetAt(at - 1) === before) return 'afterGap'
  // True if the clock shows the same time once more, before or after it was set back.
  const isFirst = after < own && offsetAt(at + (own - after)) === after
  const isSecond = before > own && offsetAt(at - (before - own)) === before
  return isFirst || isSecond ? 'repeatedHour' : null
}

/** Creates a function that returns the offset of the zone's clock from UTC at an instant. */
function offsetsOf(timeZone: string): (at: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  return (at) => {
    const parts = Object.fromEntries(
      format.formatToParts(at).map(({ type, value }) => [type, Number(value)]),
    )
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
    // Date.UTC would interpret the years 0 to 99 as 1900 to 1999.
    const shown = new Date(Date.UTC(2000, 0, 1, hour, minute, second))
    return shown.setUTCFullYear(year, month - 1, day) - Math.floor(at / 1_000) * 1_000
  }
}

function formatOffset(offsetMs: number): string {
  const minutes = Math.round(Math.abs(offsetMs) / 60_000)
  const digits = (value: number) => String(value).padStart(2, '0')
  return `${offsetMs < 0 ? '-' : '+'}${digits(Math.floor(minutes / 60))}:${digits(minutes % 60)}`
}
