import { z } from 'zod'

const RULE = 'has to be a date of the years 1900 to 2999, such as 2026-11-24'
const DAY_MS = 86_400_000

/** A day of the calendar in a request, in no time zone: ISO 8601, such as 2026-11-24. */
export const calendarDate = z.iso
  .date({ error: RULE })
  // Years that PostgreSQL, JavaScript and people write alike, with room to add some days.
  .refine((date) => date >= '1900-01-01' && date <= '2999-12-31', RULE)

/** The calendar date `days` later, as ISO 8601. */
export function addDays(date: string, days: number): string {
  return formatDate(new Date(toDate(date).getTime() + days * DAY_MS))
}

/** The midnight in UTC that begins the day: the database client reads and writes days like this. */
export function toDate(date: string): Date {
  return new Date(`${date}T00:00:00.000Z`)
}

/** The calendar date that begins at this midnight in UTC, as ISO 8601. */
export function formatDate(midnight: Date): string {
  return midnight.toISOString().slice(0, 10)
}
