import { join } from 'node:path'
import { startProcess } from '../startProcess.ts'
import type { BullMqSettings } from './engines/createBullMq.ts'
import type { GraphileWorkerSettings } from './engines/createGraphileWorker.ts'
import type { PgBossSettings } from './engines/createPgBoss.ts'
import type { RoundsmanSettings } from './engines/createRoundsman.ts'
import type { SqlAloneSettings } from './engines/createSqlAlone.ts'

export type EngineChoice =
  | { engine: 'roundsman'; settings: RoundsmanSettings }
  | { engine: 'sqlAlone'; settings: SqlAloneSettings }
  | { engine: 'pgBoss'; settings: PgBossSettings }
  | { engine: 'graphileWorker'; settings: GraphileWorkerSettings }
  | { engine: 'bullMq'; settings: BullMqSettings }

export interface EngineRun {
  /** From the start of the engine to its first handler. */
  firstMs: number
  /** From the start of the engine to the last job that is settled. */
  totalMs: number
  /** For how much of that its thread had something to do. */
  busyMs: number
  enqueueMs: number
}

export const ENGINE_PROCESS = join(import.meta.dirname, 'engineProcess.ts')

/**
 * Runs one engine from an empty queue to an empty queue.
 * @throws Error when it did not do what it was given
 */
export async function runEngine(
  choice: EngineChoice,
  url: string,
  jobs: number,
  beforeStart: () => Promise<void>,
): Promise<EngineRun> {
  const child = startProcess(ENGINE_PROCESS, {
    args: ['drain', url, String(jobs), JSON.stringify(choice)],
  })
  try {
    const [, enqueueMs = ''] = await child.line(/^prepared (.+)$/)
    await beforeStart()
    child.send('go')
    const [, text = ''] = await child.line(/^done (.+)$/)
    const done = JSON.parse(text) as EngineRun & {
      left: number
      audited: number | null
      handled: number
    }
    if (done.left !== 0 || done.handled !== jobs || (done.audited ?? jobs) !== jobs) {
      throw new Error(`${choice.engine} was given ${jobs} jobs and says: ${text}`)
    }
    const { firstMs, totalMs, busyMs } = done
    return { firstMs, totalMs, busyMs, enqueueMs: Number(enqueueMs) }
  } finally {
    await child.stop()
  }
}
