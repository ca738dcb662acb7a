import { isAliveSql } from '../liveness/whoIsLost.ts'
import type { PrismaTransactionLike } from '../store/inTransaction.ts'

export interface ListedWorker {
  id: string
  liveness: 'lock' | 'heartbeat'
  startedAt: Date
  /** One that was killed is listed for a day. */
  isAlive: boolean
  /** By its heartbeat, which also one with a lock sends every five seconds. */
  lastSignAt: Date
}

/** Those that live first, then by their start, the latest first. */
export async function listWorkers(
  tx: Pick<PrismaTransactionLike, '$queryRawUnsafe'>,
): Promise<ListedWorker[]> {
  return await tx.$queryRawUnsafe<ListedWorker[]>(
    `select worker."id", worker."liveness"::text, worker."startedAt", worker."heartbeatAt" as "lastSignAt",
            ${isAliveSql('worker."id"', 'worker')} as "isAlive"
     from "JobWorker" worker
     order by "isAlive" desc, worker."startedAt" desc limit 100`,
  )
}

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
