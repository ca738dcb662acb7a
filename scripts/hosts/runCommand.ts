import { spawn, type ChildProcess } from 'node:child_process'

export interface CommandOptions {
  cwd: string
  env: NodeJS.ProcessEnv
  signal: AbortSignal
}

const TIMEOUT_MS = 180_000

/** Runs a bash command and resolves to what it prints. Rejects with all output when it fails or takes three minutes. */
export async function runCommand(
  command: string,
  { cwd, env, signal }: CommandOptions,
): Promise<string> {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', command], {
    cwd,
    env,
    // Nobody is there to answer a question.
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let stdout = ''
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
    output += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const ending = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
  const end = () => void stopGroup(child)
  ending.addEventListener('abort', end, { once: true })
  const code = await new Promise((resolve) => child.once('close', resolve))
  ending.removeEventListener('abort', end)
  if (code !== 0) {
    const late = signal.aborted ? String(signal.reason) : 'It took more than three minutes'
    const why = ending.aborted ? late : `It ended with ${String(code)}`
    throw new Error(`${command}\n${why}:\n${output}`)
  }
  return stdout
}

/** Asks a process and all that it started to end, and waits for it. After 15 s it kills them. */
export async function stopGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const { pid } = child
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const tell = (signal: NodeJS.Signals) => {
    try {
      process.kill(-pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
  tell('SIGTERM')
  const timer = setTimeout(() => tell('SIGKILL'), 15_000)
  await exited
  clearTimeout(timer)
  // Kills children that did not end with it.
  tell('SIGKILL')
}
