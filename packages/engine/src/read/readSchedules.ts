import { checkTexts } from '../job/argument.ts'
import { boundedText } from './bounded.ts'
import type { Reader } from './reader.ts'

/** A schedule as its row in the database has it. Instants are ISO 8601 in UTC. */
export interface ScheduleRow {
  name: string
  cron: string
  timeZone: string
  /** The last tick that was decided. */
  cursor: string
  pausedAt: string | null
  pausedBy: string | null
  pauseReason: string | null
}

/** Reads schedules, keyed by job name. A schedule that no worker has started with is missing. */
export async function readSchedules(
  reader: Reader,
  names: readonly string[],
): Promise<Map<string, ScheduleRow>> {
  const rows = await reader.rows<ScheduleRow>({
    text: `select "name", "cron", "timeZone", "cursor", "pausedAt", ${boundedText('"pausedBy"')} as "pausedBy",
            ${boundedText('"pauseReason"')} as "pauseReason"
     from "JobSchedule" where "name" = any($1::text[])`,
    values: [checkTexts('names', names)],
  })
  return new Map(rows.map((row) => [row.name, row]))
}
