import type { Prisma, PrismaClient } from '@roundsman/db'

type Work<Result> = (tx: Prisma.TransactionClient) => Promise<Result>

/**
 * Requests for the same rows wait for each other, and all wait for a connection. Prisma's limits (2 s to begin, 5 s to
 * end) are too short for that, and nobody waits longer than these for an answer.
 */
const LIMITS = { maxWait: 10_000, timeout: 20_000 }

/** Commits all of the work or, if it throws, none. */
export function transact<Result>(prisma: PrismaClient, work: Work<Result>): Promise<Result> {
  return prisma.$transaction(work, LIMITS)
}

/** Runs several reads in one snapshot: all see what was committed when the first began. */
export function readTogether<Result>(prisma: PrismaClient, work: Work<Result>): Promise<Result> {
  return prisma.$transaction(work, { ...LIMITS, isolationLevel: 'RepeatableRead' })
}
