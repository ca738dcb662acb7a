import { hashPassword, type PrismaClient, type Role } from '@roundsman/db'

/** `owner@example.com` and so on, all with the same password. Returns their ids. */
export async function createUserOfEachRole(
  prisma: PrismaClient,
  password: string,
): Promise<Record<Role, string>> {
  const passwordHash = await hashPassword(password)
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
