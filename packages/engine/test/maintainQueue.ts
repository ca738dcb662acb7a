import { asDb, openBoss } from '../src/store/boss.ts'
import type { TestRuntime } from './openTestRuntime.ts'

/** Has the queue look after its tables at once, as a worker has it do from time to time: it deletes what nobody keeps. */
export async function maintainQueue({ database, rows }: TestRuntime): Promise<void> {
  await rows(
    'update pgboss.queue set monitor_on = null, monitor_claim_on = null, maintain_on = null',
  )
  const boss = openBoss(asDb(database), database.schema)
  await boss.start()
  try {
    await boss.supervise()
  } finally {
    await boss.stop({ graceful: false, close: false })
  }
}
