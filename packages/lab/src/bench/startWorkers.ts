import { join } from 'node:path'
import { startProcess, type RunningProcess } from '../startProcess.ts'
import type { WorkersSettings } from './workersProcess.ts'

const WORKERS_PROCESS = join(import.meta.dirname, 'workersProcess.ts')

/** Starts workers in a process of their own, and resolves when all of them are ready. */
export async function startWorkers(settings: WorkersSettings): Promise<RunningProcess> {
  const workers = startProcess(WORKERS_PROCESS, { settings })
  await workers.told('isReady')
  return workers
}

/** Has workers take what waits, and resolves to how long `count` runs took from their start. */
export async function timeWorkers(settings: WorkersSettings & { count: number }): Promise<number> {
  const workers = await startWorkers(settings)
  const handledMs = await workers.told<number>('handledMs')
  await workers.stop()
  return handledMs
}
