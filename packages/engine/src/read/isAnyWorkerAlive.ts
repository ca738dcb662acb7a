import type { PrismaTransactionLike } from '../store/inTransaction.ts'
import { isAliveSql } from '../liveness/whoIsLost.ts'

/** Whether a process lives that could execute work, `pnpm worker:once` included while it runs. */
export async function isAnyWorkerAlive(
  tx: Pick<PrismaTransactionLike, '$queryRawUnsafe'>,
): Promise<boolean> {
  const [found] = await tx.$queryRawUnsafe<{ isAlive: boolean }[]>(
    `select exists (
       select from "JobWorker" worker where ${isAliveSql('worker."id"', 'worker')}
     ) as "isAlive"`,
  )
  return found?.isAlive ?? false
}
