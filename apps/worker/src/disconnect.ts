import { setTimeout as delay } from 'node:timers/promises'
import type { PrismaClient } from '@roundsman/db'

const PATIENCE_MS = 1_000

/**
 * Closes the client of a process that is about to end. It waits at most PATIENCE_MS for connections in use: a handler
 * that its run has given up on may hold one, and can commit nothing any more because its run has ended.
 */
export async function disconnect(prisma: Pick<PrismaClient, '$disconnect'>): Promise<void> {
  await Promise.race([prisma.$disconnect(), delay(PATIENCE_MS)])
}
