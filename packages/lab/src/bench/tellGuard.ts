import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'

/** What is not to outlive this process, and what is gone already. */
export type GuardMessage =
  | { started: number }
  | { ended: number }
  /** The data folder of an embedded PostgreSQL. */
  | { server: string }
  | { folder: string }

const PROCESS = join(import.meta.dirname, 'guardProcess.ts')

let guard: ChildProcess | undefined

/**
 * Whoever is killed cleans nothing up. The guard is a process apart that hears when this one is gone, however
 * that came about, and then ends and removes what it was told of.
 */
export function tellGuard(message: GuardMessage): void {
  guard ??= startGuard()
  guard.stdin?.write(`${JSON.stringify(message)}\n`)
}

function startGuard(): ChildProcess {
  const child = spawn(process.execPath, ['--conditions=@roundsman/source', PROCESS], {
    // Ctrl-C reaches the whole group of processes, and is not for the guard.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.on('error', () => undefined)
  child.stdin?.on('error', () => undefined)
  child.unref()
  return child
}
