import { once } from 'node:events'
import { createInterface } from 'node:readline'

export interface Driver<Settings> {
  settings: Settings
  /** Says something by a name, for which the driver may wait. */
  tell(report: Record<string, unknown>): void
  /** Resolves when the driver sends a line. */
  go(): Promise<void>
}

/** In a process of the lab: what its driver has handed to it, and how it answers. When the driver is gone, it ends. */
export function followDriver<Settings>(onLine?: (line: string) => void): Driver<Settings> {
  const input = createInterface({ input: process.stdin }).once('close', () => process.exit(1))
  if (onLine) input.on('line', onLine)
  return {
    settings: JSON.parse(process.argv[2] ?? '{}') as Settings,
    tell: (report) => void process.stdout.write(`${JSON.stringify(report)}\n`),
    async go() {
      await once(input, 'line')
    },
  }
}
