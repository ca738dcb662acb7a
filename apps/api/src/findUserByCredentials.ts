import { verifyPassword, type PrismaClient } from '@roundsman/db'
import { z } from 'zod'
import { unauthorized, type Caller } from './plugins/authentication.ts'

export const credentials = z.strictObject({
  email: z.email().max(254),
  // A hash is made of all of it: without a limit, long ones would keep the machine busy.
  password: z.string().min(1).max(200),
})

/** @throws Problem 401, the same for a wrong password as for an unknown user */
export async function findUserByCredentials(
  prisma: Pick<PrismaClient, 'user'>,
  { email, password }: z.infer<typeof credentials>,
): Promise<Caller> {
  // E-mails are stored in lower case.
  const user = await prisma.user.findUnique({ where: { email: email.toLowerCase() } })
  const isRight = await verifyPassword(password, user?.passwordHash)
  if (!user || !isRight) throw unauthorized('E-mail or password is wrong')
  return { id: user.id, email: user.email, role: user.role }
}
