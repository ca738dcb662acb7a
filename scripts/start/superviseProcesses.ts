import { spawn, type ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'
import { styleText } from 'node:util'

/*
 * A supervised process:
 *
 *   running   Spawned, its lines kept; print() prints them. One with ROUNDSMAN_HELD waits for release().
 *   stopping  stop() sent SIGTERM: because a process ended first, or the caller was asked to stop. It drains by itself.
 *   killed    kill() sent SIGKILL to its group, or stop()'s timer did when draining took too long.
 *   ended     Its output is read to the end. The first to end has all others stopped; `ended` resolves after the last.
 */

const LAST_LINES = 20
const MARGIN_MS = 5_000
const COLOURS = ['blue', 'magenta', 'cyan'] as const

export interface ProcessToSupervise {
  name: string
  /** Node's arguments: its options, the program, the program's arguments. */
  args: string[]
  env: NodeJS.ProcessEnv
}

export interface SuperviseOptions {
  processes: ProcessToSupervise[]
  cwd: string
  /** How long a process may take to end after SIGTERM. Some seconds later it is killed. */
  drainTimeoutMs: number
  /** The processes' lines go here, each behind the name of its process. */
  output: NodeJS.WriteStream
  /** Changes each line before it is kept and printed. */
  formatLine?: (line: string) => string
}

export interface ProcessEnd {
  name: string
  /** An exit code, or the signal that ended it, or why it could not be started. */
  exitCode: number | string
}

export interface Supervisor {
  /** The end of the first process that ends, for whatever reason. The others are then being stopped. */
  firstEnd: Promise<ProcessEnd>
  /** Tells processes that are held back to begin, by a line on their standard input. */
  release(): void
  /** Resolves when no process is left. */
  ended: Promise<void>
  /** Prints the lines kept so far and all later ones. Until then they would end up between those of the start. */
  print(): void
  lastLines(name: string): string[]
  /** Sends SIGTERM to every process, once, and waits for all of them. */
  stop(): Promise<void>
  /** Kills them all now. */
  kill(): void
}

/**
 * Runs processes side by side: when one ends, all do. Each has its own process group, so that Ctrl-C reaches us alone,
 * and a standard input that stays open while we live, so that it notices when we are killed.
 */
export function superviseProcesses(options: SuperviseOptions): Supervisor {
  const { processes, cwd, output, formatLine = (line) => line } = options
  const firstEnd = Promise.withResolvers<ProcessEnd>()
  const running = new Set<ChildProcess>()
  const lines = new Map(processes.map(({ name }) => [name, [] as string[]]))
  /** The lines before print(); undefined afterwards. */
  let kept: string[] | undefined = []
  let killTimer: NodeJS.Timeout | undefined

  const ended = Promise.all(processes.map(run)).then(() => clearTimeout(killTimer))
  void firstEnd.promise.then(stop)

  return {
    firstEnd: firstEnd.promise,
    release() {
      for (const { stdin } of running) stdin?.write('begin\n')
    },
    ended,
    print() {
      for (const text of kept ?? []) output.write(text)
      kept = undefined
    },
    lastLines: (name) => lines.get(name) ?? [],
    stop,
    kill: killAll,
  }

  /** Starts a process. Resolves when it has ended and all that it wrote was read. */
  function run({ name, args, env }: ProcessToSupervise, index: number): Promise<void> {
    const child = spawn(process.execPath, args, {
      cwd,
      env,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: process.platform !== 'win32',
    })
    running.add(child)
    // A process that closes its standard input causes an error here, which does not matter.
    child.stdin.on('error', () => undefined)
    const prefix = prefixOf(name, index)
    const take = (line: string) => {
      const formatted = formatLine(line).trimEnd()
      const last = lines.get(name)
      last?.push(formatted)
      if (last && last.length > LAST_LINES) last.shift()
      for (const part of formatted.split('\n')) write(prefix + part)
    }
    eachLine(child.stdout, take)
    eachLine(child.stderr, take)
    return new Promise((resolve) => {
      const end = (exitCode: number | string) => {
        running.delete(child)
        firstEnd.resolve({ name, exitCode })
        resolve()
      }
      child.on('error', ({ message }) => end(message))
      child.on('close', (exitCode, signal) => end(exitCode ?? signal ?? 'unknown'))
    })
  }

  function prefixOf(name: string, index: number): string {
    if (!output.isTTY) return `[${name}] `
    const prefix = `[${name.padEnd(Math.max(...processes.map((one) => one.name.length)))}]`
    const colour = COLOURS[index % COLOURS.length] ?? 'blue'
    return `${output.hasColors() ? styleText(colour, prefix, { validateStream: false }) : prefix} `
  }

  function write(text: string): void {
    if (kept) kept.push(`${text}\n`)
    else output.write(`${text}\n`)
  }

  /** Sends SIGTERM to the programs, which pass it on as they need; killAll() later kills all that they started. */
  function stop(): Promise<void> {
    if (killTimer === undefined) {
      for (const child of running) child.kill('SIGTERM')
      killTimer = setTimeout(killAll, options.drainTimeoutMs + MARGIN_MS)
    }
    return ended
  }

  function killAll(): void {
    for (const { pid } of running) {
      if (pid === undefined) continue
      try {
        process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL')
      } catch {
        // It has ended in the meantime.
      }
    }
  }
}

/** Takes whole lines only: parts of lines would mix with those of other processes. */
function eachLine(stream: Readable, take: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    parts.forEach(take)
  })
  stream.on('end', () => rest !== '' && take(rest))
}
