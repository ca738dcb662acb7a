import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'

/** What must not outlive this process, and what is already gone. */
export type GuardMessage =
  | { started: number }
  | { ended: number }
  /** The data folder of an embedded PostgreSQL. */
  | { server: string }
  | { folder: string }

const PROCESS = join(import.meta.dirname, 'guardProcess.ts')

let guard: ChildProcess | undefined

/**
 * Tells the guard, since a process that is killed cleans nothing up. The guard is a separate process that notices when this
 * one is gone, however it ended, and then ends and removes what it was told of.
 */
export function tellGuard(message: GuardMessage): void {
  guard ??= startGuard()
  guard.stdin?.write(`${JSON.stringify(message)}\n`)
}

function startGuard(): ChildProcess {
  const child = spawn(process.execPath, ['--conditions=@roundsman/source', PROCESS], {
    // Ctrl-C signals the whole process group, and must not end the guard.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.on('error', () => undefined)
  child.stdin?.on('error', () => undefined)
  child.unref()
  return child
}
