import { spawn, type ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'
import { styleText } from 'node:util'

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
  /** How long a process may take to end once it was asked to; after that, and some seconds, it is killed. */
  drainTimeoutMs: number
  /** Where the processes' lines go, each behind its process's name. */
  output: NodeJS.WriteStream
  /** Applied to each line. */
  formatLine?: (line: string) => string
}

export interface ProcessEnd {
  name: string
  /** An exit code, or the signal that ended it. */
  exitCode: number | string
}

export interface Supervisor {
  /** Of the process that ended first, for whatever reason. The others are then being stopped. */
  firstEnd: Promise<ProcessEnd>
  /** Tells those that are held back to begin: a line on their standard input. */
  release(): void
  /** Resolves when no process is left. */
  ended: Promise<void>
  /** Until then lines are kept back, so that they do not end up between those of the start. */
  print(): void
  lastLines(name: string): string[]
  /** Asks every process to end, once, and waits for it. */
  stop(): Promise<void>
  /** Ends them all now. */
  kill(): void
}

/**
 * Runs processes side by side: when one ends, all do. Each is in a process group of its own, so that Ctrl-C
 * in the terminal reaches us alone and each is asked to end exactly once, and each has a standard input
 * that stays open as long as we live, so that it can notice when we were killed.
 */
export function superviseProcesses(options: SuperviseOptions): Supervisor {
  const { processes, cwd, output, formatLine = (line) => line } = options
  const firstEnd = Promise.withResolvers<ProcessEnd>()
  const running = new Set<ChildProcess>()
  const lines = new Map(processes.map(({ name }) => [name, [] as string[]]))
  /** Until they may be printed. */
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

  /** Resolves when the process has ended and all that it wrote was taken. */
  function run({ name, args, env }: ProcessToSupervise, index: number): Promise<void> {
    const child = spawn(process.execPath, args, {
      cwd,
      env,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: process.platform !== 'win32',
    })
    running.add(child)
    // That the other end closes it is its own affair.
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

  /** SIGTERM is for the program, which hands it on as it sees fit; SIGKILL is for all that it started. */
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

/** Whole lines only: those of two processes would be mixed otherwise. */
function eachLine(stream: Readable, take: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    parts.forEach(take)
  })
  stream.on('end', () => rest !== '' && take(rest))
}
