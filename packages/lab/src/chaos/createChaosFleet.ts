import { setTimeout as pause } from 'node:timers/promises'
import type { Random } from '../createRandom.ts'
import { createFleet } from '../createFleet.ts'
import { increase } from '../markdown.ts'
import type { Exit } from '../startProcess.ts'
import { WORKERS, type Disturbance, type DisturbanceKind } from './createPlan.ts'
import type { Server } from './openServer.ts'
import {
  startWorker,
  type ChaosWorker,
  type WorkerCommand,
  type WorkerSettings,
} from './startWorker.ts'

export interface Kill {
  workerId: string
  /** By this machine's clock, which is PostgreSQL's too. */
  at: number
  /**
   * Whether a rescue was due at once: the worker held a lock, PostgreSQL was there, and another worker had been up for long
   * enough and stayed undisturbed for long enough.
   */
  hasRescuer: boolean
}

export interface GracefulStop {
  workerId: string
  exit: Exit
  at: number
  /** Nothing else happened to it or to PostgreSQL while it drained. */
  isUndisturbed: boolean
}

export interface ChaosFleet {
  /** Resolves when all workers are ready. */
  start(): Promise<void>
  /** Resolves when it is over, with false when no worker was in a state for it. */
  perform(disturbance: Disturbance): Promise<boolean>
  /** Ends every disturbance that is under way. Resolves when all workers are ready. */
  heal(): Promise<void>
  /** Sends SIGTERM to all. */
  stop(): Promise<void>
  /** Leaves no process behind. */
  destroy(): Promise<void>
  /** Complete only after stop(). */
  history(): FleetHistory
}

export interface FleetHistory {
  kills: Kill[]
  gracefulStops: GracefulStop[]
  /** Workers that ended by themselves while PostgreSQL was there, for which there is no good reason. */
  crashes: { workerId: string; exit: Exit; lastLines: readonly string[] }[]
  /** Workers that could not start because PostgreSQL was away. */
  startFailures: number
  /** Kills of workers that were not ready yet. */
  killsWhileStarting: number
  started: number
  /** The workers' warnings, counted by message. */
  warnings: Map<string, number>
}

export interface FleetOptions {
  server: Server
  database: string
  random: Random
  sweepBatch: number
  sweepPauseMs: number
  onEvent: (event: string) => void
}

interface Victim extends ChaosWorker {
  /** It was sent SIGKILL, and may not have ended yet. */
  isKilled: boolean
  /** It has been asked or forced to end. */
  isLeaving: boolean
  /** The disturbance that it suffers, other than a changed clock. */
  affliction: DisturbanceKind | null
  life: Span
}

/** A period, of a slot or of PostgreSQL. One that has not ended ends at infinity. */
interface Span {
  slot: number | null
  from: number
  to: number
}

const DRAIN_TIMEOUT_MS = 1_000
/** The worker's own limits for settling and closing come on top of its drain time-out. */
const STOP_PATIENCE_MS = 60_000
const CALM_PATIENCE_MS = 20_000
const RESTART_DELAY_MS = 200
/** A worker that has just connected rescues nothing for 2 s, and then looks once a second. */
const RESCUER_AGE_MS = 3_500

/** Three places for workers, and what is done to them and to PostgreSQL. */
export function createChaosFleet(options: FleetOptions): ChaosFleet {
  const { server, database, random, sweepBatch, onEvent } = options
  const kills: { slot: number; workerId: string | null; at: number }[] = []
  const lives: Span[] = []
  const troubles: Span[] = []
  const history: FleetHistory = {
    kills: [],
    gracefulStops: [],
    crashes: [],
    startFailures: 0,
    killsWhileStarting: 0,
    started: 0,
    warnings: new Map(),
  }
  const healing = new AbortController()
  let { sweepPauseMs } = options
  const fleet = createFleet<Victim>({ size: WORKERS, start, hasEnded })
  const isPostgresAwaySince = (at: number) =>
    troubles.some((span) => span.slot === null && span.to > at)
  const command = (worker: Victim, wish: WorkerCommand) => worker.send(JSON.stringify(wish))

  async function start(slot: number): Promise<Victim> {
    const settings: Omit<WorkerSettings, 'databaseUrl'> = {
      seed: random.integer(0, 2 ** 31),
      sweepBatch,
      sweepPauseMs,
      drainTimeoutMs: DRAIN_TIMEOUT_MS,
    }
    const onLine = (line: string) => {
      const message = readMessage(line)
      if (message !== null) increase(history.warnings, message)
      onEvent(`log ${slot} ${line}`)
    }
    const worker = await startWorker({ server, database, slot, settings, onLine })
    const life: Span = { slot, from: Infinity, to: Infinity }
    lives.push(life)
    history.started++
    void worker.told('isReady').then(
      () => {
        life.from = Date.now()
        onEvent(`ready ${slot} ${worker.workerId}`)
      },
      () => onEvent(`not ready ${slot} ${worker.workerId}`),
    )
    const state = { isKilled: false, isLeaving: false, affliction: null, life }
    return Object.assign(worker, state)
  }

  async function hasEnded(worker: Victim, exit: Exit): Promise<void> {
    worker.life.to = Date.now()
    // PostgreSQL must not learn of a half-open connection's end until it heals.
    if (worker.affliction !== 'halfOpen') worker.proxy.close()
    if (worker.isLeaving) return
    onEvent(`ended ${worker.slot} ${JSON.stringify(exit)}`)
    if (worker.isReady || !isPostgresAwaySince(worker.startedAt)) {
      const { workerId } = worker
      history.crashes.push({ workerId: workerId ?? '?', exit, lastLines: worker.lastLines() })
    } else {
      history.startFailures++
      await pause(RESTART_DELAY_MS)
    }
  }

  async function perform(disturbance: Disturbance): Promise<boolean> {
    onEvent(JSON.stringify(disturbance))
    switch (disturbance.kind) {
      case 'restart': {
        const { mode, downMs } = disturbance
        await during(null, () => server.restart(mode, downMs))
        return true
      }
      case 'failOver':
        await during(null, () => server.failOver(disturbance.splitMs))
        return true
      case 'fullDisk':
        return await during(null, () => server.fillDisk(disturbance.durationMs))
      case 'kill': {
        const worker =
          (disturbance.isReady && findNow(disturbance.slot, isAtWork)) ||
          (await find(disturbance.slot, isAlive))
        if (!worker) return false
        worker.isKilled = worker.isLeaving = true
        if (!worker.isReady) history.killsWhileStarting++
        const { slot, workerId } = worker
        kills.push({ slot, workerId, at: Date.now() })
        worker.signal('SIGKILL')
        return true
      }
      case 'clock': {
        const worker = await find(disturbance.slot, isCalm)
        if (!worker) return false
        command(worker, { clockOffsetMs: disturbance.offsetMs })
        await lasting(disturbance.durationMs)
        command(worker, { clockOffsetMs: 0 })
        return true
      }
      case 'terminate':
      case 'freeze':
      case 'cut':
      case 'halfOpen': {
        const worker = await find(disturbance.slot, isCalm)
        if (!worker) return false
        worker.affliction = disturbance.kind
        try {
          await during(worker.slot, () => afflict(worker, disturbance))
        } finally {
          worker.affliction = null
        }
        return true
      }
      default:
        return disturbance satisfies never
    }
  }

  async function afflict(
    worker: Victim,
    disturbance: Extract<Disturbance, { kind: 'terminate' | 'freeze' | 'cut' | 'halfOpen' }>,
  ): Promise<void> {
    switch (disturbance.kind) {
      case 'terminate':
        return await terminate(worker)
      case 'cut':
        worker.proxy.cut()
        return
      case 'freeze':
        worker.signal('SIGSTOP')
        if (disturbance.isCut) worker.proxy.cut()
        await lasting(disturbance.durationMs)
        worker.signal('SIGCONT')
        return
      case 'halfOpen':
        worker.proxy.goHalfOpen()
        await lasting(disturbance.durationMs)
        if (worker.hasExited()) worker.proxy.close()
        else worker.proxy.heal()
        return
      default:
        disturbance satisfies never
    }
  }

  async function terminate(worker: Victim): Promise<void> {
    const at = Date.now()
    worker.isLeaving = true
    worker.signal('SIGTERM')
    const patience = setTimeout(() => worker.signal('SIGKILL'), STOP_PATIENCE_MS)
    const exit = await worker.exited
    clearTimeout(patience)
    onEvent(`terminated ${worker.slot} ${JSON.stringify(exit)} after ${Date.now() - at} ms`)
    if (worker.isKilled) return
    const isUndisturbed = !isPostgresAwaySince(at)
    history.gracefulStops.push({ workerId: worker.workerId ?? '?', exit, at, isUndisturbed })
  }

  /** Returns the worker in this slot if it matches, else the next that does. It waits, since none may match for a while. */
  async function find(
    slot: number,
    matches: (worker: Victim) => boolean,
  ): Promise<Victim | undefined> {
    const deadline = Date.now() + CALM_PATIENCE_MS
    while (Date.now() < deadline && !healing.signal.aborted) {
      const worker = findNow(slot, matches)
      if (worker) return worker
      await pause(20)
    }
    return undefined
  }

  function findNow(slot: number, matches: (worker: Victim) => boolean): Victim | undefined {
    return [...fleet.members.slice(slot), ...fleet.members.slice(0, slot)].find(matches)
  }

  async function during<Result>(slot: number | null, work: () => Promise<Result>): Promise<Result> {
    const span: Span = { slot, from: Date.now(), to: Infinity }
    troubles.push(span)
    try {
      return await work()
    } finally {
      span.to = Date.now()
    }
  }

  /** Waits, or until everything is healed. */
  async function lasting(durationMs: number): Promise<void> {
    await pause(durationMs, undefined, { signal: healing.signal }).catch(() => undefined)
  }

  function hasRescuer({ slot, at }: { slot: number; at: number }): boolean {
    const [from, to] = [at - RESCUER_AGE_MS, at + RESCUER_AGE_MS]
    const isTroubled = (index: number | null) =>
      troubles.some(
        (span) => (span.slot === null || span.slot === index) && span.from < to && span.to > from,
      )
    return (
      !isTroubled(slot) &&
      lives.some(
        (life) =>
          life.slot !== slot && life.from <= from && life.to >= to && !isTroubled(life.slot),
      )
    )
  }

  return {
    start: fleet.start,
    perform,
    async heal() {
      healing.abort()
      sweepPauseMs = 0
      const calmDown = () => {
        for (const worker of fleet.members) command(worker, { sweepPauseMs: 0, clockOffsetMs: 0 })
      }
      calmDown()
      await fleet.untilReady(isCalm)
      calmDown()
    },
    async stop() {
      fleet.stopRestarting()
      await Promise.all(fleet.members.map(terminate))
    },
    async destroy() {
      healing.abort()
      await fleet.destroy()
    },
    history: () => ({
      ...history,
      kills: kills.flatMap(({ slot, workerId, at }) =>
        workerId === null ? [] : [{ workerId, at, hasRescuer: hasRescuer({ slot, at }) }],
      ),
    }),
  }
}

function isCalm(worker: Victim): boolean {
  return isAtWork(worker) && worker.affliction === null
}

function isAtWork(worker: Victim): boolean {
  return isAlive(worker) && worker.isReady
}

function isAlive(worker: Victim): boolean {
  return !worker.hasExited() && !worker.isKilled
}

/** Null for a line that is no log line, such as those of a stack trace. */
function readMessage(line: string): string | null {
  if (!line.startsWith('{')) return null
  try {
    const { level, msg = '' } = JSON.parse(line) as { level?: unknown; msg?: string }
    return typeof level === 'number' ? msg : null
  } catch {
    return null
  }
}
