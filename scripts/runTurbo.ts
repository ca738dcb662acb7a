import { spawn } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'

const WORKSPACE_ROOT = join(import.meta.dirname, '..')

export interface RunTurboOptions {
  /** Aborting it ends turbo and all that turbo runs. */
  signal?: AbortSignal
}

/**
 * Runs a task in each package that has it and whose inputs changed. It prints nothing; if the task fails, its output is
 * the error's message.
 */
export function runTurbo(task: string, { signal }: RunTurboOptions = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const child = spawn(
      'turbo',
      ['run', task, '--output-logs=errors-only', '--log-order=grouped'],
      {
        cwd: WORKSPACE_ROOT,
        env: {
          ...process.env,
          PATH: searchPath(),
          TURBO_TELEMETRY_DISABLED: '1',
          TURBO_NO_UPDATE_NOTIFIER: '1',
        },
        stdio: ['ignore', 'pipe', 'pipe'],
        // A group of its own: Ctrl-C in the terminal reaches us alone, and we end the whole group.
        detached: process.platform !== 'win32',
        shell: process.platform === 'win32',
      },
    )
    let output = ''
    const append = (chunk: string) => {
      output = (output + chunk).slice(-50_000)
    }
    child.stdout.setEncoding('utf8').on('data', append)
    child.stderr.setEncoding('utf8').on('data', append)
    const stop = () => killGroup(child.pid)
    signal?.addEventListener('abort', stop, { once: true })
    child.on('error', reject)
    child.on('close', (exitCode) => {
      signal?.removeEventListener('abort', stop)
      if (signal?.aborted) reject(signal.reason)
      else if (exitCode === 0) resolve()
      else reject(new Error(`turbo run ${task} failed:\n${explain(output.trim())}`))
    })
  })
}

/**
 * The PATH for turbo, which runs scripts through pnpm and looks for it there. `npx pnpm` puts it there or names it in
 * npm_execpath.
 */
function searchPath(): string {
  const { PATH = '', npm_execpath: launcher = '' } = process.env
  return [
    join(WORKSPACE_ROOT, 'node_modules/.bin'),
    PATH,
    ...(launcher.includes('pnpm') ? [dirname(launcher)] : []),
  ].join(delimiter)
}

function explain(output: string): string {
  if (!output.includes('Unable to find package manager binary')) return output
  return 'turbo needs pnpm on PATH. Run this through `npx -y pnpm@12`, which puts it there.'
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGTERM')
  } catch {
    // It has ended in the meantime.
  }
}
