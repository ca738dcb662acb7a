import { boundedText } from './bounded.ts'
import type { Reader } from './readRows.ts'

/** A schedule as the workers follow it. */
export interface ScheduleRow {
  name: string
  cron: string
  timeZone: string
  /** The ledger reaches so far. */
  cursor: Date
  pausedAt: Date | null
  pausedBy: string | null
  pauseReason: string | null
}

/** By name of job; one that no worker has started with yet is not among them. */
export async function readSchedules(
  reader: Reader,
  names: readonly string[],
): Promise<Map<string, ScheduleRow>> {
  const rows = await reader.$queryRawUnsafe<ScheduleRow[]>(
    `select "name", "cron", "timeZone", "cursor", "pausedAt", ${boundedText('"pausedBy"')} as "pausedBy",
            ${boundedText('"pauseReason"')} as "pauseReason"
     from "JobSchedule" where "name" = any($1::text[])`,
    names,
  )
  return new Map(rows.map((row) => [row.name, row]))
}
