import { boundedText, type PrismaClient } from '@roundsman/db'
import type { Job } from '@roundsman/engine'

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
export async function readScheduleRows(
  prisma: Pick<PrismaClient, '$queryRaw'>,
  jobs: readonly Job[],
): Promise<Map<string, ScheduleRow>> {
  const rows = await prisma.$queryRaw<ScheduleRow[]>`
    select "name", "cron", "timeZone", "cursor", "pausedAt", ${boundedText('"pausedBy"')} as "pausedBy",
           ${boundedText('"pauseReason"')} as "pauseReason"
    from "JobSchedule" where "name" = any(${jobs.map(({ name }) => name)})`
  return new Map(rows.map((row) => [row.name, row]))
}
