import { setTimeout as pause } from 'node:timers/promises'
import {
  startWorker,
  type Held,
  type Lag,
  type WorkerExit,
  type WorkerHandle,
  type WorkerSettings,
} from './startWorker.ts'

/** A worker that ended though nobody asked it to. */
export interface Crash {
  workerId: string
  exit: WorkerExit
  at: number
  /** It had reported nothing for long, and was killed from outside. */
  wasStuck: boolean
  /** Whether its log has an error line. */
  hasLoggedError: boolean
  lastLines: string[]
}

/** What one worker held over its life, from its first run on. */
export interface Life {
  workerId: string
  held: Held[]
}

/** When a worker could do nothing: its event loop stood still, or it had ended and no other was ready in its place. */
export interface Gap {
  from: number
  to: number
}

export interface FleetHistory {
  started: number
  pids: number[]
  crashes: Crash[]
  /** How workers ended that were asked to. */
  exits: WorkerExit[]
  lives: Life[]
  lags: Lag[]
  gaps: Gap[]
  /** Workers that another worker's rescue named. */
  rescuedFrom: Set<string>
  /** Log lines, by level and message. */
  lines: Map<string, number>
}

export interface Fleet {
  /** Resolves when all workers are ready. */
  start(): Promise<void>
  /** Sends SIGTERM to all once they are ready, and resolves when they have ended. */
  stop(): Promise<void>
  /** Leaves no process behind. */
  destroy(): Promise<void>
  history: FleetHistory
}

export interface FleetOptions {
  settings: WorkerSettings
  env: Readonly<Record<string, string>>
  onEvent: (event: string) => void
}

const WORKERS = 3
const RESTART_DELAY_MS = 200
/** Far longer than the jobs' longest time-out, after which a watchdog ends a process that stands still. */
const STUCK_MS = 40_000
/** A worker that has just connected rescues nothing for 2 s, and then looks once a second. */
const UNTIL_RESCUE_MS = 3_500
const READY_PATIENCE_MS = 60_000
const STOP_PATIENCE_MS = 60_000
const KEPT_LINES = 30
const ERROR_LEVEL = 50

/** Workers that are started again whenever they end, as a supervisor does. */
export function createFleet({ settings, env, onEvent }: FleetOptions): Fleet {
  /** And when each is ready. */
  const alive = new Map<WorkerHandle, Promise<void>>()
  const history: FleetHistory = {
    started: 0,
    pids: [],
    crashes: [],
    exits: [],
    lives: [],
    lags: [],
    gaps: [],
    rescuedFrom: new Set(),
    lines: new Map(),
  }
  let isStopping = false

  /** Resolves when the worker is ready. It also handles whatever becomes of the worker later. */
  function spawn(slot: number, awayFrom: number | null): Promise<void> {
    const life: Life = { workerId: '?', held: [] }
    const lastLines: string[] = []
    let seenAt = Date.now()
    let isReady = false
    let wasStuck = false
    let hasLoggedError = false
    let setReady: () => void
    const ready = new Promise<void>((resolve) => (setReady = resolve))
    const worker = startWorker({
      settings,
      env,
      onReport(report) {
        seenAt = Date.now()
        if (report.workerId !== undefined) life.workerId = report.workerId
        if (report.lag) {
          history.lags.push(report.lag)
          history.gaps.push(report.lag)
        }
        if (report.held) life.held.push(report.held)
        if (report.isReady) {
          isReady = true
          if (awayFrom !== null) {
            history.gaps.push({ from: awayFrom, to: Date.now() + UNTIL_RESCUE_MS })
          }
          onEvent(`ready ${slot} ${life.workerId}`)
          setReady()
        }
      },
      onLog(line) {
        lastLines.push(line.slice(0, 2_000))
        if (lastLines.length > KEPT_LINES) lastLines.shift()
        const entry = parseLine(line)
        if (entry === null || entry.level >= ERROR_LEVEL) hasLoggedError = true
        if (entry && entry.level > 30) onEvent(`log ${slot} ${line.slice(0, 4_000)}`)
        if (entry === null) onEvent(`text ${slot} ${line.slice(0, 500)}`)
        if (entry?.lostWorkerId !== undefined) history.rescuedFrom.add(entry.lostWorkerId)
        const key = entry ? `${entry.level} ${entry.msg}` : 'no log line'
        history.lines.set(key, (history.lines.get(key) ?? 0) + 1)
      },
    })
    history.started++
    history.pids.push(worker.pid)
    history.lives.push(life)
    alive.set(worker, ready)
    const watch = setInterval(() => {
      if (!isReady || Date.now() - seenAt < STUCK_MS) return
      wasStuck = true
      worker.signal('SIGKILL')
    }, 1_000)
    void worker.exited.then(async (exit) => {
      clearInterval(watch)
      alive.delete(worker)
      if (isStopping) {
        history.exits.push(exit)
        return
      }
      const { workerId } = life
      onEvent(`ended ${slot} ${workerId} ${JSON.stringify(exit)}${wasStuck ? ' stuck' : ''}`)
      history.crashes.push({ workerId, exit, at: Date.now(), wasStuck, hasLoggedError, lastLines })
      const from = awayFrom !== null && !isReady ? awayFrom : seenAt
      await pause(RESTART_DELAY_MS)
      if (!isStopping) await spawn(slot, from)
    })
    return ready
  }

  return {
    history,
    async start() {
      const tooLong = new AbortController()
      const ready = Promise.all(Array.from({ length: WORKERS }, (_, slot) => spawn(slot, null)))
      const late = pause(READY_PATIENCE_MS, undefined, { signal: tooLong.signal }).then(
        () => {
          throw new Error('The workers did not become ready')
        },
        () => undefined,
      )
      await Promise.race([ready, late])
      tooLong.abort()
    },
    async stop() {
      const timer = setTimeout(() => {
        for (const worker of alive.keys()) worker.signal('SIGKILL')
      }, STOP_PATIENCE_MS)
      // A process that still loads its code does not handle the signal yet. Others may be started meanwhile.
      for (let started = 0; started < history.started;) {
        started = history.started
        await Promise.all([...alive].map(([{ exited }, ready]) => Promise.race([ready, exited])))
      }
      isStopping = true
      const workers = [...alive.keys()]
      for (const worker of workers) worker.signal('SIGTERM')
      await Promise.all(workers.map(({ exited }) => exited))
      clearTimeout(timer)
    },
    async destroy() {
      isStopping = true
      const workers = [...alive.keys()]
      for (const worker of workers) worker.signal('SIGKILL')
      await Promise.all(workers.map(({ exited }) => exited))
    },
  }
}

interface LogLine {
  level: number
  msg: string
  lostWorkerId?: string
}

function parseLine(line: string): LogLine | null {
  if (!line.startsWith('{')) return null
  try {
    const parsed = JSON.parse(line) as Partial<LogLine>
    return typeof parsed.level === 'number' ? { msg: '', ...parsed, level: parsed.level } : null
  } catch {
    return null
  }
}
