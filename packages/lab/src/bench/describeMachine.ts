import { readFile } from 'node:fs/promises'
import { cpus, platform, totalmem } from 'node:os'

/** What the figures depend on. It contains nothing that identifies the machine. */
export interface Machine {
  cpu: string
  cores: number
  memoryGb: number
  system: string
  node: string
}

export async function describeMachine(): Promise<Machine> {
  const [cpu] = cpus()
  return {
    cpu: cpu?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: await readSystem(),
    node: process.version,
  }
}

async function readSystem(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return /^PRETTY_NAME="?([^"\n]+)/m.exec(text)?.[1] ?? platform()
}
