import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { settlesWithin } from '../database/settlesWithin.ts'
import type { RunResult } from '../run/executeRun.ts'
import { childArguments, childEnvironment } from './childArguments.ts'
import { readLines, sendLine } from './jsonLines.ts'
import { readFromChild, type FromChild, type RunRequest, type ToChild } from './messages.ts'
import { readPrinted } from './readPrinted.ts'

export interface ChildOptions {
  /** Shown in the list of processes. */
  name: string
  memoryMb: number
  open: Omit<Extract<ToChild, { kind: 'open' }>, 'kind'>
  /** Takes lines that belong to no run. */
  idle: ChildLog
}

export interface ChildLog {
  /** A line that the handlers' logger wrote, as JSON. */
  onLog(line: string): void
  /** A line of standard output or standard error. */
  onPrinted(stream: 'stdout' | 'stderr', text: string): void
}

export interface ChildRun extends ChildLog {
  request: RunRequest
  onProgress(done: number, total: number | null): void
}

/** A process that carries out isolated runs, one after the other. */
export interface Child {
  /** Carries a run out. Rejects with a ChildCrash when the process ends first. */
  perform(run: ChildRun): Promise<RunResult>
  /** Call it after a run has ended. Resolves to whether the process can take another. */
  rests(): Promise<boolean>
  abort(token: string, reason: { code: string; message: string; retryable: boolean }): void
  /** Gives the process half a second to close its connections and files, then kills it. Resolves once it has ended. */
  close(): Promise<void>
  /** Kills the process and all processes that it has started, and waits for its end. */
  kill(): Promise<void>
  /** Resolves once it has ended, for any reason. */
  ended: Promise<ChildCrash>
}

/** How a process ended. */
export class ChildCrash extends Error {
  /** The error line that it printed to standard error, and the end of all it printed there. */
  readonly printed: { message: string; stack: string } | null

  constructor(message: string, printed: { message: string; stack: string } | null) {
    super(message)
    this.printed = printed
  }
}

/** A .ts file when this runs from source, and a .js file in the build. */
const ENTRY = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts') ? './childProcess.ts' : './childProcess.js',
    import.meta.url,
  ),
)

const MEGABYTE = 1_048_576
/** Memory allowed beside V8's heap, for Node itself, compiled code, stacks and buffers. */
const HEADROOM_MB = 256
/** Details and log lines are bounded far below this. */
const MAX_MESSAGE_BYTES = 16 * MEGABYTE
/** Shorter than a stopping worker waits for all its processes. */
const CLOSE_TIMEOUT_MS = 500
/** A process that has not rested by then is busy with what its last run left behind. */
const REST_TIMEOUT_MS = 1_000
/** How long a process may live after its channel has closed. */
const SILENCE_TIMEOUT_MS = 1_000
/** How long to wait for output after the exit: a process that left the group may hold the pipes open. */
const OUTPUT_TIMEOUT_MS = 500
/** The kernel ends a killed process at once, unless a device hangs. */
const KILL_TIMEOUT_MS = 5_000

/** Starts the process that carries out isolated runs one after the other, within its limits of memory. */
export function startChild(options: ChildOptions): Child {
  const { memoryMb, idle } = options
  const maxBytes = (memoryMb + HEADROOM_MB) * MEGABYTE
  const child = spawn(
    process.execPath,
    [
      ...childArguments(process.execArgv, { entry: ENTRY, memoryMb }),
      String(maxBytes),
      options.name,
    ],
    {
      env: childEnvironment(process.env),
      // No IPC channel of Node, so that the handlers' `process.send` and `process.disconnect` have no effect.
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
      // Its own process group: Ctrl-C reaches only the worker, and killing the group ends what the handlers started.
      detached: process.platform !== 'win32',
      windowsHide: true,
    },
  )
  const endGuard = guardGroup(child.pid)
  let current: (ChildRun & { settle(result: RunResult | ChildCrash): void }) | null = null
  let crash: ChildCrash | null = null
  let fault: string | null = null
  let lastToken: string | null = null
  let resting: Promise<number> = Promise.resolve(Infinity)
  let onRest: (usedBytes: number) => void = () => undefined
  let silence: NodeJS.Timeout | undefined
  // There are no streams when this process may not open more files; an 'error' event then reports that.
  const streams = (child.stdio ?? []) as unknown as (Duplex | null)[]
  const [, stdout = empty(), stderr = empty(), channel = empty(), lifeline = empty()] = streams as [
    null,
    Duplex?,
    Duplex?,
    Duplex?,
    Duplex?,
  ]
  readPrinted(stdout, (text) => (current ?? idle).onPrinted('stdout', text))
  const errors = readPrinted(stderr, (text) => (current ?? idle).onPrinted('stderr', text))

  // Ignore stream errors: the process may end at any moment, and its 'exit' reports that.
  for (const stream of [channel, lifeline]) {
    stream.on('error', () => undefined)
    stream.once('close', () => {
      if (crash !== null) return
      silence ??= setTimeout(() => endFor('closed its channel'), SILENCE_TIMEOUT_MS)
    })
  }
  lifeline.on('data', (bytes: Buffer) => {
    const usedMb = Math.round(Number(bytes.toString('latin1')) / MEGABYTE)
    fault ??= `needed ${usedMb} MB of memory, more than ${memoryMb} MB and ${HEADROOM_MB} MB beside the heap`
  })
  readLines(channel, {
    maxBytes: MAX_MESSAGE_BYTES,
    onMessage(message) {
      const known = readFromChild(message)
      if (known) receive(known)
      else endFor('sent an invalid message')
    },
    onGarbage: (what) => endFor(`sent ${what}`),
  })
  const ended = new Promise<ChildCrash>((resolve) => {
    const end = (how: string) => {
      crash ??= describeEnd(fault ?? how, errors.tail(), memoryMb)
      for (const stream of streams) stream?.destroy()
      clearTimeout(silence)
      current?.settle(crash)
      resolve(crash)
    }
    child.on('error', (error) => {
      if (child.pid === undefined) end(`could not be started: ${error.message}`)
    })
    child.once('exit', (code, signal) => {
      if (child.pid) killGroup(child.pid)
      endGuard()
      const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`
      const timer = setTimeout(() => end(how), OUTPUT_TIMEOUT_MS)
      child.once('close', () => {
        clearTimeout(timer)
        end(how)
      })
    })
  })

  send({ kind: 'open', ...options.open })

  function send(message: ToChild): void {
    if (crash === null && channel.writable) sendLine(channel, message)
  }

  function endFor(what: string): void {
    fault ??= what
    killAll()
  }

  function receive(message: FromChild): void {
    if (message.kind === 'log' && message.token === null) return idle.onLog(message.line)
    if (message.kind === 'rested') {
      if (message.token === lastToken) onRest(message.usedBytes)
      return
    }
    // A late message of an ended run must not be taken for the next run's.
    if (message.token !== current?.request.token || current === null) {
      if (message.kind === 'log') idle.onLog(message.line)
      return
    }
    switch (message.kind) {
      case 'log':
        return current.onLog(message.line)
      case 'progress':
        return current.onProgress(message.done, message.total)
      case 'ended':
        return current.settle(message.result as RunResult)
      default:
        return message satisfies never
    }
  }

  /** Kills the process and all processes that it has started. */
  function killAll(): void {
    // Without a pid, kill(0) would signal this process and its whole group.
    if (!child.pid) return
    killGroup(child.pid)
    child.kill('SIGKILL')
  }

  async function kill(): Promise<void> {
    // Once it has ended, another process may have its pid.
    if (crash !== null) return
    killAll()
    await settlesWithin(ended, KILL_TIMEOUT_MS)
  }

  return {
    perform: (run) =>
      new Promise((resolve, reject) => {
        if (crash !== null) return reject(crash)
        lastToken = run.request.token
        resting = new Promise((rest) => (onRest = rest))
        current = {
          ...run,
          settle(result) {
            current = null
            if (result instanceof ChildCrash) reject(result)
            else resolve(result)
          },
        }
        send({ kind: 'run', ...run.request })
      }),
    async rests() {
      const isOver = ended.then(() => Infinity)
      const used = Promise.race([resting, isOver])
      // The next run would start with the memory that it still uses.
      return (await settlesWithin(used, REST_TIMEOUT_MS)) && (await used) <= maxBytes / 2
    },
    abort: (token, reason) => send({ kind: 'abort', token, ...reason }),
    async close() {
      send({ kind: 'close' })
      await settlesWithin(ended, CLOSE_TIMEOUT_MS)
      await kill()
    },
    kill,
    ended,
  }
}

function describeEnd(how: string, errors: string, memoryMb: number): ChildCrash {
  if (errors.includes('JavaScript heap out of memory')) {
    return new ChildCrash(`The process of the run ${how}: its heap was full (${memoryMb} MB)`, null)
  }
  const message = /^(?:Uncaught )?\w*(?:Error|Exception)\b.*$/m.exec(errors)?.[0]
  const printed = message === undefined ? null : { message, stack: errors }
  return new ChildCrash(`The process of the run ${how}`, printed)
}

function killGroup(pid: number): void {
  if (process.platform === 'win32') return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group is empty.
  }
}

/**
 * Starts a shell that kills the process group once this process is gone, however it ended. The group cannot do so itself
 * while it is stopped, or once its leader is gone. Without `/bin/sh` only lifelineThread.ts is left. Returns what
 * ends the shell.
 */
function guardGroup(pid: number | undefined): () => void {
  if (pid === undefined || process.platform === 'win32') return () => undefined
  // The kernel closes this end of the pipe with the process. A service manager signals the shell, too.
  const script = 'trap "" HUP INT TERM; read -r line; kill -KILL "-$0"'
  const shell = spawn('/bin/sh', ['-c', script, String(pid)], {
    env: {},
    stdio: ['pipe', 'ignore', 'ignore'],
    // Its own process group, so that nothing that ends this one's or the handlers' ends it.
    detached: true,
  })
  const pipe = shell.stdin as Socket | null
  for (const part of [shell, pipe]) part?.on('error', () => undefined).unref()
  return () => shell.kill('SIGKILL')
}

/** A stream that discards all input and has no output. */
function empty(): Duplex {
  return new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })
}
