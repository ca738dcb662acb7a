import type { PrismaClient } from '@roundsman/db'

/**
 * Works on a database that takes every statement and then refuses to commit, by a deferred trigger.
 * `event` is such as `insert on "JobWork"`.
 */
export async function withRefusedCommit(
  prisma: PrismaClient,
  event: string,
  work: () => Promise<void>,
): Promise<void> {
  await prisma.$executeRawUnsafe(
    `create or replace function refuse() returns trigger language plpgsql
     as $$ begin raise exception 'refused'; end $$`,
  )
  await prisma.$executeRawUnsafe(
    `create constraint trigger refuse after ${event}
     deferrable initially deferred for each row execute function refuse()`,
  )
  try {
    await work()
  } finally {
    await prisma.$executeRawUnsafe(`drop trigger refuse on ${event.split(' on ')[1]}`)
  }
}
