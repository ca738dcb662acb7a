import { Prisma } from '@roundsman/db'
import { quoted } from './quoted.ts'
import type { SweepTarget } from './sweepTarget.ts'

/**
 * The rows that meet the condition, for a statement that expects nobody to hold any of them locked: where that
 * is wrong, it fails within a millisecond, and `isLockTimeout` tells.
 */
export function expectedUnlocked(where: Prisma.Sql): Prisma.Sql {
  // Part of the statement, which evaluates it before it looks at any row: a batch is short, and a statement of
  // its own is a noticeable part of it.
  //
  // A batch that a crash of the server takes back is taken back with its counts, so it need not wait for the
  // disk. The end of the run does wait, and then whatever came before it is on the disk.
  return Prisma.sql`
    (select set_config('lock_timeout', '1ms', true) || set_config('synchronous_commit', 'off', true)) is not null
    and ${where}`
}

/**
 * The rows that meet the condition and that nobody else holds locked; whoever asks locks them. To lock each
 * row before it is changed takes about as long as deleting it, so this is for when somebody is in the way.
 */
export function unlockedRows(target: SweepTarget, where: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`
    ctid = any(array(select ctid from ${quoted(target.table)} where ${where} for update skip locked))`
}

/** Whether a statement gave up because somebody holds what it needs locked. */
export function isLockTimeout(error: unknown): boolean {
  if (!(error instanceof Prisma.PrismaClientKnownRequestError)) return false
  const adapterError = error.meta?.['driverAdapterError'] as
    | { cause?: { originalCode?: unknown } }
    | undefined
  return adapterError?.cause?.originalCode === LOCK_NOT_AVAILABLE
}

const LOCK_NOT_AVAILABLE = '55P03'
