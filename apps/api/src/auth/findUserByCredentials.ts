import { Problem } from '@roundsman/admin/http'
import {
  MAX_PASSWORD_LENGTH,
  TooManyHashesError,
  verifyPassword,
  type PrismaClient,
} from '@roundsman/db'
import { z } from 'zod'
import { unauthorized, type Caller } from './authentication.ts'

export const credentials = z.strictObject({
  email: z.email().max(254),
  password: z.string().min(1).max(MAX_PASSWORD_LENGTH),
})

const RETRY_AFTER_S = 5

/**
 * Finds the user who has this e-mail and password.
 * @throws Problem 401, the same for a wrong password as for an unknown user; 503 while too many log in at once
 */
export async function findUserByCredentials(
  prisma: Pick<PrismaClient, 'user'>,
  { email, password }: z.infer<typeof credentials>,
): Promise<Caller> {
  // The table holds e-mails in lower case.
  const user = await prisma.user.findUnique({ where: { email: email.toLowerCase() } })
  const isRight = await verifyPassword(password, user?.passwordHash).catch((error: unknown) => {
    if (!(error instanceof TooManyHashesError)) throw error
    throw new Problem(503, {
      detail: `Too many people are logging in right now; try again in ${RETRY_AFTER_S} s`,
      headers: { 'retry-after': String(RETRY_AFTER_S) },
    })
  })
  if (!user || !isRight) throw unauthorized('E-mail or password is wrong')
  return { id: user.id, email: user.email, role: user.role }
}
