import type { PrismaClient } from './generated/client.ts'
import { verifyPassword } from './passwords.ts'

/** It is published with the source: everybody knows it. */
export const DEMO_PASSWORD = 'roundsman-demo'

export const DEMO_USERS = [
  { email: 'owner@example.com', role: 'owner' },
  { email: 'admin@example.com', role: 'admin' },
  { email: 'staff@example.com', role: 'staff' },
] as const

/**
 * The e-mails of demo accounts that still have the demo password. Only their three hashes are checked, since each takes
 * long.
 */
export async function findDemoPasswords(prisma: Pick<PrismaClient, 'user'>): Promise<string[]> {
  const users = await prisma.user.findMany({
    where: { email: { in: DEMO_USERS.map(({ email }) => email) } },
    select: { email: true, passwordHash: true },
  })
  const found: string[] = []
  for (const { email, passwordHash } of users) {
    if (await verifyPassword(DEMO_PASSWORD, passwordHash)) found.push(email)
  }
  return found
}
