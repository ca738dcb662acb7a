import { createLocalTime } from '@roundsman/engine/internal'
import { UsageError } from './runCommand.ts'

const DATE =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,3})?)?)?\s*(Z|[+-]\d\d:?\d\d)?$/i

export type ParsedInstant = { instant: Date; problem: null } | { instant: null; problem: string }

/**
 * Reads a date with or without time and offset: `2026-10-25`, `2026-10-25T02:30`, `2026-10-25T02:30+02:00`. Without an offset
 * it is local time of the zone; if that comes twice, the first.
 */
export function parseInstant(text: string, timeZone: string): ParsedInstant {
  const parsed = readInstant(text, timeZone)
  const year = parsed.instant?.getUTCFullYear() ?? 1
  // Its offset may move it out of the years that a database query accepts.
  return year >= 1 && year <= 9_999 ? parsed : wrong(`"${text}" is not within the years 1 to 9999`)
}

/**
 * Reads the date of an option.
 * @throws UsageError
 */
export function parseDate(option: string, text: string, timeZone = 'UTC'): Date {
  const { instant, problem } = parseInstant(text, timeZone)
  if (instant !== null) return instant
  throw new UsageError(`${option}: ${problem}`)
}

function readInstant(text: string, timeZone: string): ParsedInstant {
  const match = DATE.exec(text.trim())
  if (!match) {
    return wrong(
      `"${text}" is not a date; give one such as 2026-10-25, 2026-10-25T02:30 or 2026-10-25T02:30+02:00`,
    )
  }
  const [year, month, day, hour, minute, second] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0))
  // Date.UTC would interpret the years 0 to 99 as 1900 to 1999.
  const start = new Date(0).setUTCFullYear(year ?? 0, (month ?? 0) - 1, day)
  const wall = new Date(start).setUTCHours(hour ?? 0, minute, second)
  // Date would convert the 31st of February to the 3rd of March.
  const [date, time] = new Date(wall).toISOString().slice(0, 19).split('T')
  const given = [match[4] ?? '00', match[5] ?? '00', match[6] ?? '00'].join(':')
  if (date !== match.slice(1, 4).join('-') || time !== given) {
    return wrong(`"${text}" is no date of the calendar`)
  }
  const offset = match[7]
  if (offset !== undefined) return readOffset(text, wall, offset)
  return findLocal(text, wall, timeZone)
}

function readOffset(text: string, wall: number, offset: string): ParsedInstant {
  if (offset.toUpperCase() === 'Z') return { instant: new Date(wall), problem: null }
  const hours = Number(offset.slice(1, 3))
  const minutes = Number(offset.slice(-2))
  if (hours > 14 || minutes > 59) return wrong(`"${text}" has an offset that no zone has`)
  const offsetMs = (hours * 60 + minutes) * 60_000 * (offset.startsWith('-') ? -1 : 1)
  return { instant: new Date(wall - offsetMs), problem: null }
}

function findLocal(text: string, wall: number, timeZone: string): ParsedInstant {
  const { offsetMs } = createLocalTime(timeZone)
  const DAY_MS = 86_400_000
  // The larger offset gives the earlier instant.
  const offsets = [wall - DAY_MS, wall + DAY_MS].map((at) => offsetMs(new Date(at)))
  for (const offset of offsets.toSorted((a, b) => b - a)) {
    const instant = new Date(wall - offset)
    if (offsetMs(instant) === offset) return { instant, problem: null }
  }
  return wrong(
    `"${text}" does not exist in ${timeZone}, whose clocks are set forward then; give an offset, or another time`,
  )
}

function wrong(problem: string): ParsedInstant {
  return { instant: null, problem }
}
