import type { Prisma, PrismaClient } from '@roundsman/db'

type Work<Result> = (tx: Prisma.TransactionClient) => Promise<Result>

/**
 * Many who ask for the same wait for each other, and all of them for a connection: longer than Prisma's two
 * seconds to begin and five to end, and not longer than somebody waits for an answer.
 */
const LIMITS = { maxWait: 10_000, timeout: 20_000 }

/** All of the work or, if it throws, none. */
export function transact<Result>(prisma: PrismaClient, work: Work<Result>): Promise<Result> {
  return prisma.$transaction(work, LIMITS)
}

/** For several reads: all of them see what was committed when the first began. */
export function readTogether<Result>(prisma: PrismaClient, work: Work<Result>): Promise<Result> {
  return prisma.$transaction(work, { ...LIMITS, isolationLevel: 'RepeatableRead' })
}
