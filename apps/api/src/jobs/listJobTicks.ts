import { boundedText, Prisma, type JobTick, type PrismaClient } from '@roundsman/db'

export type ListedJobTick = Omit<JobTick, 'name' | 'workerId'>

export interface ListJobTicksOptions {
  name: string
  /** Rows at most; positive. */
  limit: number
  /** Only ticks before this instant; ISO 8601. */
  before?: string | undefined
}

export interface JobTickPage {
  ticks: ListedJobTick[]
  /** The last of them, before which the next page begins; null when there is nothing more. */
  next: Date | null
}

/** A job's rows of the tick ledger, newest first. Its instants are unique, so one is where a page is cut. */
export async function listJobTicks(
  prisma: Pick<PrismaClient, '$queryRaw'>,
  { name, limit, before }: ListJobTicksOptions,
): Promise<JobTickPage> {
  // One row more than asked for tells whether there is a next page.
  const older = before ? Prisma.sql`and "scheduledFor" < ${before}::timestamptz` : Prisma.empty
  const rows = await prisma.$queryRaw<ListedJobTick[]>`
    select "scheduledFor", "outcome"::text as "outcome", ${boundedText('"reason"')} as "reason", "count", "through",
           "queueJobId"::text as "queueJobId", "createdAt"
    from "JobTick" where "name" = ${name} ${older}
    order by "scheduledFor" desc limit ${limit + 1}`
  const ticks = rows.slice(0, limit)
  const last = rows.length > ticks.length ? ticks.at(-1) : undefined
  return { ticks, next: last?.scheduledFor ?? null }
}
