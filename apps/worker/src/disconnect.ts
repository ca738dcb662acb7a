import { setTimeout as delay } from 'node:timers/promises'
import type { PrismaClient } from '@roundsman/db'

const PATIENCE_MS = 1_000

/**
 * Closes the client of a process that is about to end. Closing waits for the connections in use, and a
 * handler that its run has given up on may hold one until its statement times out: that one ends with the
 * process, and can commit nothing, since its run has ended.
 */
export async function disconnect(prisma: Pick<PrismaClient, '$disconnect'>): Promise<void> {
  await Promise.race([prisma.$disconnect(), delay(PATIENCE_MS)])
}
