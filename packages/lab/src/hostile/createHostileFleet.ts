import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createFleet, readLogLine, startMember, type Fleet, type Member } from '../createFleet.ts'
import { increase } from '../markdown.ts'
import type { Exit } from '../startProcess.ts'
import type { Held, Lag } from './watchEventLoop.ts'

export interface WorkerSettings {
  databaseUrl: string
  seed: number
}

/** A worker that ended though nobody asked it to. */
export interface Crash {
  workerId: string
  exit: Exit
  at: number
  /** It had reported nothing for long, and was killed from outside. */
  wasStuck: boolean
  /** Whether its log has an error line. */
  hasLoggedError: boolean
}

/** When a worker could do nothing: its event loop stood still, or it had ended and no other was ready in its place. */
export interface Gap {
  from: number
  to: number
}

export interface FleetHistory {
  started: number
  crashes: Crash[]
  /** How workers ended that were asked to. */
  exits: Exit[]
  /** What each worker held over its life, from its first run on. */
  lives: Held[][]
  lags: Lag[]
  gaps: Gap[]
  /** Workers that another worker's rescue named. */
  rescuedFrom: Set<string>
  /** Log lines, by level and message. */
  lines: Map<string, number>
}

interface Suspect extends Member {
  seenAt: number
  /** Since when nobody has been ready in its slot, if another had it before. */
  awayFrom: number | null
  wasStuck: boolean
  hasLoggedError: boolean
  watch: NodeJS.Timeout
}

const ENTRY = join(import.meta.dirname, 'workerProcess.ts')
const WORKERS = 3
const RESTART_DELAY_MS = 200
/** Far longer than the jobs' longest time-out, after which a watchdog ends a process that stands still. */
const STUCK_MS = 40_000
/** A worker that has just connected rescues nothing for 2 s, and then looks once a second. */
const UNTIL_RESCUE_MS = 3_500
/** Small enough to be full soon, and enough for large values. */
const HEAP_MB = 400
const ERROR_LEVEL = 50
const WARN_LEVEL = 40

/** Workers that drawn outcomes may end, with what they say of themselves meanwhile. */
export function createHostileFleet({
  settings,
  env,
  onEvent,
}: {
  settings: WorkerSettings
  env: Readonly<Record<string, string>>
  onEvent: (event: string) => void
}): Fleet<Suspect> & { history: FleetHistory } {
  const history: FleetHistory = {
    started: 0,
    crashes: [],
    exits: [],
    lives: [],
    lags: [],
    gaps: [],
    rescuedFrom: new Set(),
    lines: new Map(),
  }

  function start(slot: number, before: Suspect | null): Suspect {
    const held: Held[] = []
    const awayFrom =
      before === null ? null : before.isReady ? before.seenAt : (before.awayFrom ?? before.seenAt)
    const member = startMember(ENTRY, slot, {
      settings,
      env,
      node: ['--expose-gc', `--max-old-space-size=${HEAP_MB}`],
      onLine: (line) => readLine(suspect, line),
      onReport(report) {
        suspect.seenAt = Date.now()
        const { lag, held: more, isReady } = report as { lag?: Lag; held?: Held; isReady?: true }
        if (lag) history.lags.push(lag)
        if (lag) history.gaps.push(lag)
        if (more) held.push(more)
        if (!isReady) return
        if (awayFrom !== null) {
          history.gaps.push({ from: awayFrom, to: Date.now() + UNTIL_RESCUE_MS })
        }
        onEvent(`ready ${slot} ${suspect.workerId}`)
      },
    })
    const suspect: Suspect = Object.assign(member, {
      seenAt: Date.now(),
      awayFrom,
      wasStuck: false,
      hasLoggedError: false,
      watch: setInterval(() => {
        if (!suspect.isReady || Date.now() - suspect.seenAt < STUCK_MS) return
        suspect.wasStuck = true
        suspect.signal('SIGKILL')
      }, 1_000),
    })
    history.started++
    history.lives.push(held)
    return suspect
  }

  function readLine(suspect: Suspect, line: string): void {
    const entry = readLogLine(line)
    if (entry === null || entry.level >= ERROR_LEVEL) suspect.hasLoggedError = true
    if (entry === null) onEvent(`text ${suspect.slot} ${line.slice(0, 500)}`)
    else if (entry.level >= WARN_LEVEL) onEvent(`log ${suspect.slot} ${line.slice(0, 4_000)}`)
    if (entry?.lostWorkerId !== undefined) history.rescuedFrom.add(entry.lostWorkerId)
    increase(history.lines, entry ? `${entry.level} ${entry.msg}` : 'no log line')
  }

  async function hasEnded(suspect: Suspect, exit: Exit, isAsked: boolean): Promise<void> {
    const { slot, wasStuck, hasLoggedError } = suspect
    clearInterval(suspect.watch)
    if (isAsked) return void history.exits.push(exit)
    const workerId = suspect.workerId ?? '?'
    onEvent(`ended ${slot} ${workerId} ${JSON.stringify(exit)}${wasStuck ? ' stuck' : ''}`)
    history.crashes.push({ workerId, exit, at: Date.now(), wasStuck, hasLoggedError })
    await pause(RESTART_DELAY_MS)
  }

  return { ...createFleet<Suspect>({ size: WORKERS, start, hasEnded }), history }
}
