import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export const WORKSPACE_ROOT = join(import.meta.dirname, '../../..')

export interface ProgramOptions {
  /** Added to this process's environment. */
  env?: Readonly<Record<string, string | undefined>>
  cwd?: string
  /** The account that runs it. Default: that of this process. */
  account?: { uid: number; gid: number } | undefined
  /** Kills it when it is aborted. */
  signal?: AbortSignal
  /** Called with each line that is no report. */
  onLine?: (line: string) => void
}

export interface ProcessOptions extends ProgramOptions {
  /** The process reads them by followDriver. */
  settings: object
  onReport?: (report: Record<string, unknown>) => void
  /** A command that runs it elsewhere. Default: here. */
  within?: readonly string[]
  /** One of many that end soon, which must not compile the same files again and again. */
  isShortLived?: boolean
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface RunningProcess {
  pid: number
  /** Resolves with the next line of output that matches; one that came while nobody waited counts. */
  line(pattern: RegExp): Promise<RegExpExecArray>
  /** Resolves with what a report of the lab's process says by this name, past or to come. */
  told<Value>(name: string): Promise<Value>
  send(line: string): void
  signal(signal: NodeJS.Signals): void
  exited: Promise<Exit>
  hasExited(): boolean
  lastLines(): readonly string[]
  /** Asks it to end, and kills it when it does not. */
  stop(): Promise<Exit>
}

const STOP_TIMEOUT_MS = 30_000
const INTERRUPT_TIMEOUT_MS = 10_000
const KEPT_LINES = 30
/** How many lines are kept that nobody has read. */
const MAX_UNREAD = 10_000
const COMPILE_CACHE = join(WORKSPACE_ROOT, 'node_modules/.cache/compile')

/** With the promise of its end. */
const running = new Map<ChildProcess, Promise<Exit>>()

/** Starts a TypeScript file in a process of its own, with our packages from source. It ends when this process does. */
export function startProcess(entry: string, options: ProcessOptions): RunningProcess {
  const { settings, within = [], isShortLived = false, env } = options
  const [program, ...before] = [...within, process.execPath]
  return run(
    program,
    [
      ...before,
      '--conditions=@roundsman/source',
      // Without it V8 optimizes Prisma's WebAssembly for a second, which a process that soon ends never earns back.
      ...(isShortLived ? ['--liftoff-only'] : []),
      entry,
      JSON.stringify(settings),
    ],
    { ...options, env: { ...(isShortLived && { NODE_COMPILE_CACHE: COMPILE_CACHE }), ...env } },
  )
}

/** Starts any program. */
export function startProgram(
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): RunningProcess {
  return run(program, args, options)
}

function run(
  program: string,
  args: readonly string[],
  options: ProgramOptions & Partial<ProcessOptions>,
): RunningProcess {
  const { cwd = WORKSPACE_ROOT, env, account, signal, settings, onLine, onReport } = options
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env },
    ...account,
    ...(signal && { signal, killSignal: 'SIGKILL' }),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const unread: string[] = []
  const last: string[] = []
  const reported = new Map<string, unknown>()
  /** Those who wait look again at each line, and at the end. */
  const waiting = new Set<() => void>()
  let exit: Exit | undefined

  const wake = () => {
    for (const look of waiting) look()
  }
  const collect = (line: string) => {
    last.push(line.slice(0, 2_000))
    if (last.length > KEPT_LINES) last.shift()
    onLine?.(line)
    unread.push(line)
    if (unread.length > MAX_UNREAD) unread.shift()
  }
  createInterface({ input: child.stdout }).on('line', (line) => {
    const report = settings === undefined ? null : readReport(line)
    if (report === null) collect(line)
    else {
      for (const [name, value] of Object.entries(report)) reported.set(name, value)
      onReport?.(report)
    }
    wake()
  })
  createInterface({ input: child.stderr }).on('line', (line) => {
    collect(line)
    wake()
  })
  // The process may have ended before it reads what is written to it.
  child.stdin.on('error', () => undefined)
  child.on('error', (error) => collect(String(error)))
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, by) => {
      running.delete(child)
      exit = { code, signal: by }
      resolve(exit)
      wake()
    })
  })
  running.set(child, exited)

  function waitFor<Value>(find: () => Value | undefined): Promise<Value> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = find()
        if (found === undefined && exit === undefined) return
        waiting.delete(look)
        if (found !== undefined) return resolve(found)
        const what = args.find((arg) => arg.endsWith('.ts')) ?? program
        const { code, signal: by } = exit ?? {}
        reject(new Error(`${what} ended (${by ?? code}). Its last lines:\n${last.join('\n')}`))
      }
      waiting.add(look)
      look()
    })
  }

  return {
    pid: child.pid ?? 0,
    line: (pattern) =>
      waitFor(() => {
        for (let line = unread.shift(); line !== undefined; line = unread.shift()) {
          const match = pattern.exec(line)
          if (match) return match
        }
        return undefined
      }),
    told: <Value>(name: string) => waitFor(() => reported.get(name) as Value | undefined),
    send: (line) => void child.stdin.write(`${line}\n`),
    signal: (by) => void child.kill(by),
    exited,
    hasExited: () => exit !== undefined,
    lastLines: () => last,
    stop: () => end(child, exited, STOP_TIMEOUT_MS),
  }
}

/** Null for a line of a log, and for what is no JSON. */
function readReport(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{') || line.startsWith('{"level"')) return null
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return null
  }
}

/** Ends whatever still runs. A process with children gets the time to end them. */
export async function stopProcesses(): Promise<void> {
  await Promise.all([...running].map(([child, exited]) => end(child, exited, INTERRUPT_TIMEOUT_MS)))
}

async function end(child: ChildProcess, exited: Promise<Exit>, patienceMs: number): Promise<Exit> {
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs)
  child.kill('SIGTERM')
  const exit = await exited
  clearTimeout(timer)
  return exit
}
