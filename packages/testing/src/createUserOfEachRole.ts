import { hashPassword, type PrismaClient, type Role } from '@roundsman/db'

/** A hash is to take long, and many files want that of one password. */
const hashes = new Map<string, Promise<string>>()

/** `owner@example.com` and so on, all with the same password. Returns their ids. */
export async function createUserOfEachRole(
  prisma: PrismaClient,
  password: string,
): Promise<Record<Role, string>> {
  const hashing = hashes.get(password) ?? hashPassword(password)
  hashes.set(password, hashing)
  const passwordHash = await hashing
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
