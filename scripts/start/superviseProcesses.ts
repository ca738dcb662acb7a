import { spawn } from 'node:child_process'
import { Writable } from 'node:stream'
import { createConcurrently, KillOthers, Logger, type FlowController } from 'concurrently'

const LAST_LINES = 20
const MARGIN_MS = 5_000

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
  const killTimeoutMs = options.drainTimeoutMs + MARGIN_MS
  const pids = new Set<number>()
  const inputs: Writable[] = []
  const asked = new Set<number>()
  const lines = new Map(processes.map(({ name }) => [name, [] as string[]]))
  const firstEnd = Promise.withResolvers<ProcessEnd>()

  const logger = new Logger({ prefixFormat: 'name' })
  logger.toggleColors(output.isTTY && output.hasColors())
  if (output.isTTY) logger.setPrefixLength(Math.max(...processes.map(({ name }) => name.length)))
  const gate = createGate(output)

  const { commands, result } = createConcurrently(
    processes.map(({ name, args }) => ({ name, command: ['node', ...args].join(' ') })),
    {
      logger,
      outputStream: gate.stream,
      prefixColors: ['blue', 'magenta', 'cyan'],
      controllers: [
        collectLines(),
        // The end of one is told in our own words, so this logger has nothing to say.
        new KillOthers({
          logger: new Logger({ raw: true }),
          conditions: ['failure', 'success'],
          killSignal: 'SIGTERM',
          timeoutMs: killTimeoutMs,
        }),
      ],
      spawn: (command) => {
        const index = processes.findIndex(({ args }) => ['node', ...args].join(' ') === command)
        const { args = [], env = {} } = processes[index] ?? {}
        const child = spawn(process.execPath, args, {
          cwd,
          env,
          stdio: ['pipe', 'pipe', 'pipe'],
          detached: process.platform !== 'win32',
        })
        // That the other end closes it is its own affair.
        child.stdin.on('error', () => undefined)
        inputs.push(child.stdin)
        if (child.pid !== undefined) pids.add(child.pid)
        return child
      },
      kill: (pid, signal) => send(pid, signal === 'SIGKILL' ? 'SIGKILL' : 'SIGTERM'),
    },
  )
  const ended = result.then(
    () => undefined,
    () => undefined,
  )

  return {
    firstEnd: firstEnd.promise,
    release() {
      for (const input of inputs) input.write('begin\n')
    },
    ended,
    print: gate.open,
    lastLines: (name) => lines.get(name) ?? [],
    async stop() {
      for (const command of commands) command.kill('SIGTERM')
      const timer = setTimeout(killAll, killTimeoutMs)
      await ended
      clearTimeout(timer)
    },
    kill: killAll,
  }

  function killAll(): void {
    for (const pid of pids) send(pid, 'SIGKILL')
  }

  function send(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
    if (!pids.has(pid) || (signal === 'SIGTERM' && asked.has(pid))) return
    asked.add(pid)
    try {
      // SIGTERM is for the program, which hands it on as it sees fit; SIGKILL is for all that it started.
      process.kill(signal === 'SIGKILL' && process.platform !== 'win32' ? -pid : pid, signal)
    } catch {
      // It has ended in the meantime.
    }
  }

  /** Passes on whole lines only: those of two processes would be mixed otherwise. */
  function collectLines(): FlowController {
    return {
      handle(all) {
        for (const command of all) {
          const kept = lines.get(command.name) ?? []
          const take = (line: string) => {
            const formatted = formatLine(line).trimEnd()
            kept.push(formatted)
            if (kept.length > LAST_LINES) kept.shift()
            logger.logCommandText(`${formatted}\n`, command)
          }
          const flushes = [command.stdout, command.stderr].map((source) => {
            let rest = ''
            const decoder = new TextDecoder()
            source.subscribe((chunk) => {
              const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n')
              rest = parts.pop() ?? ''
              parts.forEach(take)
            })
            return () => rest !== '' && take(rest)
          })
          command.close.subscribe(({ exitCode }) => {
            for (const flush of flushes) flush()
            if (command.pid !== undefined) pids.delete(command.pid)
            firstEnd.resolve({ name: command.name, exitCode })
          })
        }
        return { commands: all }
      },
    }
  }
}

/** A stream in front of another one that keeps everything back until it is opened. */
function createGate(output: NodeJS.WriteStream): { stream: Writable; open(): void } {
  let kept: string[] | undefined = []
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      if (kept) kept.push(chunk)
      else output.write(chunk)
      done()
    },
  })
  return {
    stream,
    open() {
      for (const chunk of kept ?? []) output.write(chunk)
      kept = undefined
    },
  }
}
