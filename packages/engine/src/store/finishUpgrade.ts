import { setTimeout as delay } from 'node:timers/promises'
import { asDb, openBoss, startBoss } from './boss.ts'
import type { Connection } from './database.ts'

const LOOK_EVERY_MS = 200

/**
 * Builds the indexes that an upgrade of pg-boss's schema has only noted down. It would build them in the background,
 * while it is running and may migrate: a worker may not, so nobody else ever would.
 */
export async function finishUpgrade(database: Connection): Promise<void> {
  if (!(await isUnfinished(database))) return
  const failures: Error[] = []
  const boss = openBoss(asDb(database), { migrate: true })
  boss.on('error', (error) => failures.push(error))
  await startBoss(boss)
  try {
    while (await isUnfinished(database)) {
      const [cause] = failures
      if (cause) {
        throw new Error('An index of the queue could not be built; migrate again', { cause })
      }
      await delay(LOOK_EVERY_MS)
    }
  } finally {
    await boss.stop({ graceful: false, close: false })
  }
}

async function isUnfinished(database: Connection): Promise<boolean> {
  const { rows } = await database.query(
    `select from pgboss.bam where status <> 'completed' limit 1`,
  )
  return rows.length > 0
}
