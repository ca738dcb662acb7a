import type { Database } from '../src/database/database.ts'
import { workerLockKey } from '../src/database/workerLock.ts'

/** Does something while others see a worker with this id live, which has no session. */
export async function asWorker<Value>(
  database: Database,
  workerId: string,
  work: () => Promise<Value>,
): Promise<Value> {
  return await database.transaction(async (tx) => {
    await tx.query(`select pg_advisory_xact_lock(${workerLockKey('$1')})`, [workerId])
    return await work()
  })
}
