import { setTimeout as pause } from 'node:timers/promises'
import { WORKERS, type Disturbance, type DisturbanceKind } from './createPlan.ts'
import type { Random } from './createRandom.ts'
import type { Server } from './openServer.ts'
import { OWN_ENTRY, startWorker, type WorkerExit, type WorkerHandle } from './startWorker.ts'

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
  exit: WorkerExit
  at: number
  /** Nothing else happened to it or to PostgreSQL while it drained. */
  isUndisturbed: boolean
}

export interface Fleet {
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
  crashes: { workerId: string; exit: WorkerExit; lastLines: string[] }[]
  /** Workers that could not start because PostgreSQL was away. */
  startFailures: number
  /** Kills of workers that were not ready yet. */
  killsWhileStarting: number
  started: number
  /** How many of those were of another version. */
  startedOfOther: number
  /** How many of all were behind a transaction pooler: they write heartbeats instead of holding a lock. */
  startedPooled: number
  /** The workers' warnings, counted by message. */
  warnings: Map<string, number>
}

export interface FleetOptions {
  server: Server
  database: string
  /** The port of a transaction pooler in front of the server. */
  poolerPort: number
  random: Random
  /** The worker processes to start, each as often as the others: this version's, and maybe another's. */
  entries: readonly [string, ...string[]]
  sweepBatch: number
  sweepPauseMs: number
  onEvent: (event: string) => void
}

/** One worker after the other in the same place. */
interface Slot {
  index: number
  worker: WorkerHandle | null
  /** It was sent SIGKILL, and may not have ended yet. */
  isKilled: boolean
  isPooled: boolean
  /** The disturbance that it suffers, other than a changed clock. */
  affliction: DisturbanceKind | null
}

/** A period. One that has not ended ends at infinity. */
interface Span {
  slot: number | null
  from: number
  to: number
}

const DRAIN_TIMEOUT_MS = 1_000
/** The worker's own limits for settling and closing come on top of its drain time-out. */
const STOP_PATIENCE_MS = 60_000
const CALM_PATIENCE_MS = 20_000
const READY_PATIENCE_MS = 60_000
const RESTART_DELAY_MS = 200
/** A worker that has just connected rescues nothing for 2 s, and then looks once a second. */
const RESCUER_AGE_MS = 3_500
const LOG_LINES = 30
/** The share of workers behind the pooler. When one dies, others notice after 30 s, and not at once. */
const POOLED_SHARE = 0.1

/** Three places for workers. When a worker ends, however it does, the next one starts at once, as under a supervisor. */
export function createFleet(options: FleetOptions): Fleet {
  const { server, database, poolerPort, random, entries, sweepBatch, onEvent } = options
  const slots: Slot[] = Array.from({ length: WORKERS }, (_, index) => ({
    index,
    worker: null,
    isKilled: false,
    isPooled: false,
    affliction: null,
  }))
  const alive = new Set<WorkerHandle>()
  const leaving = new Set<WorkerHandle>()
  const kills: { slot: number; workerId: string | null; at: number; isPooled: boolean }[] = []
  const lives: (Span & { slot: number })[] = []
  const troubles: Span[] = []
  const history: FleetHistory = {
    kills: [],
    gracefulStops: [],
    crashes: [],
    startFailures: 0,
    killsWhileStarting: 0,
    started: 0,
    startedOfOther: 0,
    startedPooled: 0,
    warnings: new Map(),
  }
  const healing = new AbortController()
  let { sweepPauseMs } = options
  let isStopping = false

  async function spawn(slot: Slot): Promise<void> {
    const startedAt = Date.now()
    const lastLines: string[] = []
    // Without another version nothing is drawn, so that a seed still names the same run.
    const entry = entries.length > 1 ? random.pick(entries) : entries[0]
    const isPooled = random.chance(POOLED_SHARE)
    const worker = await startWorker({
      server,
      database,
      entry,
      targetPort: isPooled ? poolerPort : server.port,
      settings: {
        seed: random.integer(0, 2 ** 31),
        sweepBatch,
        sweepPauseMs,
        drainTimeoutMs: DRAIN_TIMEOUT_MS,
      },
      onLog(line) {
        lastLines.push(line)
        if (lastLines.length > LOG_LINES) lastLines.shift()
        const message = messageOf(line)
        if (message !== null) count(history.warnings, message)
        onEvent(`log ${slot.index} ${line}`)
      },
    })
    slot.worker = worker
    slot.isKilled = false
    slot.isPooled = isPooled
    history.started++
    if (isPooled) history.startedPooled++
    if (entry !== OWN_ENTRY) history.startedOfOther++
    alive.add(worker)
    const life = { slot: slot.index, from: Infinity, to: Infinity }
    lives.push(life)
    void worker.ready.then((isReady) => {
      if (isReady) life.from = Date.now()
      onEvent(`${isReady ? 'ready' : 'not ready'} ${slot.index} ${worker.id()}`)
    })
    void worker.exited.then(async (exit) => {
      life.to = Date.now()
      alive.delete(worker)
      // PostgreSQL must not learn of a half-open connection's end until it heals.
      if (slot.affliction !== 'halfOpen') worker.proxy.close()
      const isExpected = leaving.has(worker)
      if (!isExpected) {
        onEvent(`ended ${slot.index} ${JSON.stringify(exit)}`)
        const isPostgresToBlame = troubles.some((span) => span.slot === null && span.to > startedAt)
        if (worker.isReady() || !isPostgresToBlame) {
          history.crashes.push({ workerId: worker.id() ?? '?', exit, lastLines })
        } else {
          history.startFailures++
          await pause(RESTART_DELAY_MS)
        }
      }
      if (!isStopping) await spawn(slot)
    })
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
        const slot =
          (disturbance.isReady && findSlotNow(disturbance.slot, isAtWork)) ||
          (await findSlot(disturbance.slot, isAlive))
        if (!slot?.worker) return false
        slot.isKilled = true
        if (!slot.worker.isReady()) history.killsWhileStarting++
        leaving.add(slot.worker)
        const { index, isPooled } = slot
        kills.push({ slot: index, workerId: slot.worker.id(), at: Date.now(), isPooled })
        slot.worker.signal('SIGKILL')
        return true
      }
      case 'clock': {
        const slot = await findSlot(disturbance.slot, isCalm)
        const worker = slot?.worker
        if (!worker) return false
        worker.send({ clockOffsetMs: disturbance.offsetMs })
        await lasting(disturbance.durationMs)
        worker.send({ clockOffsetMs: 0 })
        return true
      }
      case 'terminate':
      case 'freeze':
      case 'cut':
      case 'halfOpen': {
        const slot = await findSlot(disturbance.slot, isCalm)
        if (!slot?.worker) return false
        slot.affliction = disturbance.kind
        try {
          await during(slot.index, () =>
            afflict(slot.index, slot.worker as WorkerHandle, disturbance),
          )
        } finally {
          slot.affliction = null
        }
        return true
      }
      default:
        return disturbance satisfies never
    }
  }

  async function afflict(
    index: number,
    worker: WorkerHandle,
    disturbance: Extract<Disturbance, { kind: 'terminate' | 'freeze' | 'cut' | 'halfOpen' }>,
  ): Promise<void> {
    switch (disturbance.kind) {
      case 'terminate':
        await terminate(index, worker)
        return
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

  async function terminate(index: number, worker: WorkerHandle): Promise<void> {
    const at = Date.now()
    leaving.add(worker)
    worker.signal('SIGTERM')
    const patience = setTimeout(() => worker.signal('SIGKILL'), STOP_PATIENCE_MS)
    const exit = await worker.exited
    clearTimeout(patience)
    const isKilled = kills.some((kill) => kill.workerId === worker.id())
    onEvent(`terminated ${index} ${JSON.stringify(exit)} after ${Date.now() - at} ms`)
    if (isKilled) return
    const isUndisturbed = !troubles.some((span) => span.slot === null && span.to > at)
    history.gracefulStops.push({ workerId: worker.id() ?? '?', exit, at, isUndisturbed })
  }

  /** Returns the given slot if it matches, else the next that does. It waits, since none may match for a while. */
  async function findSlot(first: number, matches: (slot: Slot) => boolean): Promise<Slot | null> {
    const deadline = Date.now() + CALM_PATIENCE_MS
    while (Date.now() < deadline && !healing.signal.aborted) {
      const slot = findSlotNow(first, matches)
      if (slot) return slot
      await pause(20)
    }
    return null
  }

  function findSlotNow(first: number, matches: (slot: Slot) => boolean): Slot | null {
    const order = slots.map((_, step) => slots[(first + step) % WORKERS])
    return order.find((slot) => slot !== undefined && matches(slot)) ?? null
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

  async function untilReady(): Promise<void> {
    const deadline = Date.now() + READY_PATIENCE_MS
    while (!slots.every(isCalm)) {
      if (Date.now() > deadline) throw new Error('The workers did not become ready')
      await pause(20)
    }
  }

  function hasRescuer({ slot, at }: { slot: number; at: number }): boolean {
    const [from, to] = [at - RESCUER_AGE_MS, at + RESCUER_AGE_MS]
    const isTroubled = (index: number) =>
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
    async start() {
      await Promise.all(slots.map(spawn))
      await untilReady()
    },
    perform,
    async heal() {
      healing.abort()
      sweepPauseMs = 0
      for (const worker of alive) worker.send({ sweepPauseMs: 0, clockOffsetMs: 0 })
      await untilReady()
      for (const worker of alive) worker.send({ sweepPauseMs: 0, clockOffsetMs: 0 })
    },
    async stop() {
      isStopping = true
      await Promise.all(slots.map(async ({ index, worker }) => worker && terminate(index, worker)))
    },
    async destroy() {
      isStopping = true
      healing.abort()
      // A worker that is being started at this moment is in the set a moment later.
      while (alive.size > 0) {
        const workers = [...alive]
        for (const worker of workers) {
          leaving.add(worker)
          worker.signal('SIGKILL')
        }
        await Promise.all(workers.map(({ exited }) => exited))
        await pause(0)
      }
    },
    history: () => ({
      ...history,
      kills: kills.flatMap(({ slot, workerId, at, isPooled }) =>
        workerId === null
          ? []
          : [{ workerId, at, hasRescuer: !isPooled && hasRescuer({ slot, at }) }],
      ),
    }),
  }
}

function isCalm(slot: Slot): boolean {
  return isAtWork(slot) && slot.affliction === null
}

function isAtWork(slot: Slot): boolean {
  return isAlive(slot) && slot.worker?.isReady() === true
}

function isAlive({ worker, isKilled }: Slot): boolean {
  return worker?.hasExited() === false && !isKilled
}

/** Null for a line that is no log line, such as those of a stack trace. */
function messageOf(line: string): string | null {
  try {
    return (JSON.parse(line) as { msg: string }).msg
  } catch {
    return null
  }
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
