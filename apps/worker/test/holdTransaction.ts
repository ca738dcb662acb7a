import type { PrismaClient } from '@roundsman/db'
import { onTestFinished } from 'vitest'
import type { Transaction } from '../src/jobs/handler.ts'

/**
 * Does something in a transaction and keeps it open, with its locks, until the returned function is called or the test
 * ends.
 */
export async function holdTransaction(
  prisma: PrismaClient,
  work: (tx: Transaction) => Promise<unknown>,
): Promise<() => Promise<void>> {
  const release = Promise.withResolvers<void>()
  const ready = Promise.withResolvers<void>()
  const transaction = prisma
    .$transaction(
      async (tx) => {
        await work(tx)
        ready.resolve()
        await release.promise
      },
      { timeout: 60_000 },
    )
    .catch(ready.reject)
  const end = async () => {
    release.resolve()
    await transaction
  }
  onTestFinished(end)
  await ready.promise
  return end
}
