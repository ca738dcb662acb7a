import { readFile } from 'node:fs/promises'

/** Linux's /proc counts in hundredths of a second, whatever the kernel's own ticks are. */
const TICKS_PER_SECOND = 100

export interface ProcessUse {
  residentMb: number
  cpuSeconds: number
}

/** Null when the process has ended, and where there is no /proc. */
export async function readProcess(pid: number): Promise<ProcessUse | null> {
  try {
    const [status, stat] = await Promise.all([
      readFile(`/proc/${pid}/status`, 'utf8'),
      readFile(`/proc/${pid}/stat`, 'utf8'),
    ])
    // After the program's name, which may contain blanks and brackets.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return {
      residentMb: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024,
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    }
  } catch {
    return null
  }
}

/** For how long the machine's processors have worked since it started, all together; null where there is no /proc. */
export async function readMachine(): Promise<{ busySeconds: number } | null> {
  const text = await readFile('/proc/stat', 'utf8').catch(() => null)
  const all = /^cpu +([\d ]+)$/m
    .exec(text ?? '')?.[1]
    ?.split(' ')
    .map(Number)
  if (all === undefined) return null
  const [user = 0, nice = 0, system = 0, , , interrupts = 0, softInterrupts = 0] = all
  return { busySeconds: (user + nice + system + interrupts + softInterrupts) / TICKS_PER_SECOND }
}
