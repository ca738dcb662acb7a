import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** A worker process of a fleet. */
export interface Member {
  /** What it last said of itself, beside its log. */
  said(): string
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

const COMPILE_CACHE = join(import.meta.dirname, '../../../../node_modules/.cache/compile')

/** Starts a file of this folder with these settings, and waits until it says `started`. */
export async function startMember(
  file: string,
  settings: object,
  signal: AbortSignal,
): Promise<Member> {
  const child = spawn(
    process.execPath,
    [
      '--conditions=@roundsman/source',
      '--liftoff-only',
      join(import.meta.dirname, file),
      JSON.stringify(settings),
    ],
    {
      env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  let said = ''
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const started = new Promise<void>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('{')) return
      said = line
      if (line === 'started') resolve()
    })
  })
  const abort = () => child.kill('SIGKILL')
  signal.addEventListener('abort', abort, { once: true })
  await Promise.race([started, exited])
  signal.removeEventListener('abort', abort)
  signal.throwIfAborted()
  if (child.exitCode !== null)
    throw new Error(`A worker ended with ${child.exitCode} as it started`)
  return {
    said: () => said,
    async end(how) {
      child.kill(how)
      await exited
    },
  }
}
