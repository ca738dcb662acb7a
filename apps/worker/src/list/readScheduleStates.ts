import type { PrismaClient } from '@roundsman/db'

/** A schedule as workers have recorded it. */
export interface ScheduleState {
  name: string
  cron: string
  timeZone: string
  pausedAt: Date | null
  pausedBy: string | null
  pauseReason: string | null
}

/** Of the jobs that a worker has scheduled at least once. */
export async function readScheduleStates(
  prisma: Pick<PrismaClient, '$queryRaw'>,
  names: readonly string[],
): Promise<ScheduleState[]> {
  return await prisma.$queryRaw<ScheduleState[]>`
    select "name", "cron", "timeZone", "pausedAt", "pausedBy", "pauseReason"
    from "JobSchedule" where "name" = any(${[...names]})`
}
