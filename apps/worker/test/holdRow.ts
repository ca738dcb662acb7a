import type { PrismaClient } from '@roundsman/db'
import { waitFor } from '@roundsman/testing'
import { onTestFinished } from 'vitest'
import { holdTransaction } from './holdTransaction.ts'

export interface HeldRow {
  /** Resolves once a statement is changing the row. */
  reached(): Promise<unknown>
  release(): Promise<void>
}

const LOCK = 4_711

/**
 * Holds whoever changes one of the rows in the middle of it, until release. A lock on a row would not do, because
 * clean-ups skip locked rows.
 */
export async function holdRow(
  prisma: PrismaClient,
  table: 'PreviewSession' | 'I18nCacheEntry' | 'EmailMessage',
  condition: string,
): Promise<HeldRow> {
  await prisma.$executeRawUnsafe(`
    create or replace function hold_row() returns trigger language plpgsql as $$
    begin
      perform pg_advisory_xact_lock(${LOCK});
      return coalesce(new, old);
    end $$`)
  await prisma.$executeRawUnsafe(`
    create or replace trigger hold_row before update or delete on "${table}"
    for each row when (${condition}) execute function hold_row()`)
  // The hooks of a finished test run last to first: the row is released before this waits for its users.
  onTestFinished(async () => {
    await prisma.$executeRawUnsafe(`drop trigger hold_row on "${table}"`)
  })
  const release = await holdTransaction(
    prisma,
    (tx) => tx.$queryRaw`select pg_advisory_xact_lock(${LOCK})::text`,
  )
  return {
    release,
    reached: () =>
      waitFor(
        async () => {
          const waiting = await prisma.$queryRaw<unknown[]>`
            select from pg_locks
            where locktype = 'advisory' and not granted and objid = ${LOCK}
              and database = (select oid from pg_database where datname = current_database())`
          return waiting.length > 0
        },
        { message: 'Changing the held row' },
      ),
  }
}
