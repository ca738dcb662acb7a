import type { PrismaClient } from '@roundsman/db'

/**
 * Deletes all rows of `"One", "other"`. `truncate` locks whole tables, and so ends in a deadlock with what the API reads
 * beside its requests.
 */
export async function emptyTables(prisma: PrismaClient, tables: string): Promise<void> {
  const deletes = tables.split(', ').map((table) => `delete from ${table};`)
  await prisma.$executeRawUnsafe(`do $$ begin ${deletes.join(' ')} end $$`)
}
