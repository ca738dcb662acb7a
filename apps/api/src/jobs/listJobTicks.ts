import { boundedText, Prisma, type JobTick, type PrismaClient } from '@roundsman/db'

export type ListedJobTick = Omit<JobTick, 'name' | 'workerId'>

export interface ListJobTicksOptions {
  name: string
  /** Rows at most; positive. */
  limit: number
  /** Only ticks before this one. From `parseJobTickCursor`. */
  cursor?: Date | undefined
}

export interface JobTickPage {
  ticks: ListedJobTick[]
  /** For the next page; opaque. Null when there is nothing more. */
  nextCursor: string | null
}

/** PostgreSQL knows no year 0. */
const CURSOR = /^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** A job's rows of the tick ledger, newest first. Its instants are unique, so one is where a page is cut. */
export async function listJobTicks(
  prisma: Pick<PrismaClient, '$queryRaw'>,
  { name, limit, cursor }: ListJobTicksOptions,
): Promise<JobTickPage> {
  // One row more than asked for tells whether there is a next page.
  const before = cursor
    ? Prisma.sql`and "scheduledFor" < ${cursor.toISOString()}::timestamptz`
    : Prisma.empty
  const rows = await prisma.$queryRaw<ListedJobTick[]>`
    select "scheduledFor", "outcome"::text as "outcome", ${boundedText('"reason"')} as "reason", "count", "through",
           "queueJobId"::text as "queueJobId", "createdAt"
    from "JobTick" where "name" = ${name} ${before}
    order by "scheduledFor" desc limit ${limit + 1}`
  const ticks = rows.slice(0, limit)
  const last = ticks.at(-1)
  const hasMore = rows.length > ticks.length
  return { ticks, nextCursor: last && hasMore ? formatCursor(last.scheduledFor) : null }
}

/** Undefined when the text is not one of our cursors. */
export function parseJobTickCursor(text: string): Date | undefined {
  const instant = Buffer.from(text, 'base64url').toString('latin1')
  if (!CURSOR.test(instant)) return undefined
  const cursor = new Date(instant)
  // Decoding base64 forgives what it does not know; one cursor has one spelling.
  return !Number.isNaN(cursor.getTime()) && formatCursor(cursor) === text ? cursor : undefined
}

function formatCursor(scheduledFor: Date): string {
  return Buffer.from(scheduledFor.toISOString()).toString('base64url')
}
