import { DEMO_PASSWORD } from './demoAccounts.ts'
import { Prisma, type PrismaClient, type Role } from './generated/client.ts'
import { hashPassword, MAX_PASSWORD_LENGTH } from './passwords.ts'

export const MIN_PASSWORD_LENGTH = 12

/**
 * Why a password is refused, or null. It asks for length, not for kinds of characters: such rules make passwords worse.
 */
export function passwordProblem(password: string): string | null {
  const { length } = password
  if (length < MIN_PASSWORD_LENGTH) return `has fewer than ${MIN_PASSWORD_LENGTH} characters`
  if (length > MAX_PASSWORD_LENGTH) return `has more than ${MAX_PASSWORD_LENGTH} characters`
  if (password === DEMO_PASSWORD) return 'is that of the demo accounts, which everybody knows'
  // Nobody can type these into a log-in form.
  if (/[\p{Cc}\p{Cs}]/u.test(password)) return 'contains a line break or another control character'
  return null
}

/** Returns false when somebody has this e-mail already, whose account stays as it is. */
export async function createUser(
  prisma: Pick<PrismaClient, 'user'>,
  { email, role, password }: { email: string; role: Role; password: string },
): Promise<boolean> {
  const passwordHash = await hashPassword(password)
  try {
    await prisma.user.create({ data: { email: email.toLowerCase(), role, passwordHash } })
    return true
  } catch (error) {
    if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002')
      return false
    throw error
  }
}

/**
 * Also ends this user's log-ins, so that whoever knows only the old password is out. Returns false when there is no such
 * user.
 */
export async function changePassword(
  prisma: Pick<PrismaClient, '$executeRaw'>,
  email: string,
  password: string,
): Promise<boolean> {
  const passwordHash = await hashPassword(password)
  // Tokens record their issue in whole seconds: a log-in within this very second must stay valid.
  const changed = await prisma.$executeRaw`
    update "User" set "passwordHash" = ${passwordHash}, "passwordChangedAt" = date_trunc('second', now())
    where "email" = ${email.toLowerCase()}`
  return changed > 0
}
