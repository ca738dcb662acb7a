import { Prisma } from '@roundsman/db'

/** A table or column as it stands in a statement. */
export function quoted(name: string): Prisma.Sql {
  return Prisma.raw(`"${name.replaceAll('"', '""')}"`)
}
