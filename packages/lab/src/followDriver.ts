import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Worker } from '@roundsman/engine/worker'

export interface Driver<Settings> {
  settings: Settings
  /** Says something by a name, for which the driver may wait. */
  tell(report: Record<string, unknown>): void
  /** Resolves when the driver sends a line. */
  go(): Promise<void>
  /** Starts a worker, and tells its id, and when it is ready. SIGTERM stops it, and then ends the process. */
  runWorker(worker: Worker): Promise<void>
}

/** In a process of the lab: what its driver has handed to it, and how it answers. When the driver is gone, it ends. */
export function followDriver<Settings>(onLine?: (line: string) => void): Driver<Settings> {
  const input = createInterface({ input: process.stdin }).once('close', () => process.exit(1))
  if (onLine) input.on('line', onLine)
  const tell = (report: object) => void process.stdout.write(`${JSON.stringify(report)}\n`)
  return {
    settings: JSON.parse(process.argv[2] ?? '{}') as Settings,
    tell,
    async go() {
      await once(input, 'line')
    },
    async runWorker(worker) {
      // Ctrl-C signals the whole process group. The driver ends the others itself.
      process.on('SIGINT', () => undefined)
      process.once('SIGTERM', () => void worker.stop().then(() => process.exit(0)))
      tell({ workerId: worker.id })
      await worker.start()
      tell({ isReady: true })
    },
  }
}
