import type { PrismaClient, Role } from '@roundsman/db'
import { randomBytes, scryptSync } from 'node:crypto'

/** Creates `owner@example.com` and so on, all with the same password. Returns their ids. */
export async function createUserOfEachRole(
  prisma: PrismaClient,
  password: string,
): Promise<Record<Role, string>> {
  const passwordHash = hashCheaply(password)
  const create = async (role: Role) => {
    const email = `${role}@example.com`
    return (await prisma.user.create({ data: { email, role, passwordHash } })).id
  }
  return {
    owner: await create('owner'),
    admin: await create('admin'),
    staff: await create('staff'),
  }
}

/** A hash names its parameters: this one is made at once, and whoever logs in does not wait for it either. */
function hashCheaply(password: string): string {
  const salt = randomBytes(16)
  const hash = scryptSync(password.normalize('NFKC'), salt, 32, { N: 2, r: 1, p: 1 })
  const [saltText, hashText] = [salt, hash].map((bytes) =>
    bytes.toString('base64').replaceAll('=', ''),
  )
  return `$scrypt$ln=1,r=1,p=1$${saltText}$${hashText}`
}
