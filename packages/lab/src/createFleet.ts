import { setTimeout as pause } from 'node:timers/promises'
import { waitFor } from '@roundsman/testing'
import {
  startProcess,
  type Exit,
  type ProcessOptions,
  type RunningProcess,
} from './startProcess.ts'

/** A worker process of a fleet: one after the other has the same slot. */
export interface Member extends RunningProcess {
  slot: number
  startedAt: number
  /** Null until the process has told it. */
  workerId: string | null
  isReady: boolean
}

/** Starts a worker process that tells its `workerId`, and `isReady` once it has started. */
export function startMember(entry: string, slot: number, options: ProcessOptions): Member {
  const member: Member = {
    slot,
    startedAt: Date.now(),
    workerId: null,
    isReady: false,
    ...startProcess(entry, {
      isShortLived: true,
      ...options,
      onReport(report) {
        if (typeof report['workerId'] === 'string') member.workerId = report['workerId']
        if (typeof report['isReady'] === 'boolean') member.isReady = report['isReady']
        options.onReport?.(report)
      },
    }),
  }
  return member
}

export interface Fleet<Of extends Member> {
  /** The latest of each slot. */
  members: readonly Of[]
  /** Resolves when all workers are ready. */
  start(): Promise<void>
  untilReady(isReady?: (member: Of) => boolean): Promise<void>
  /** From now on nobody takes the place of a worker that ends. */
  stopRestarting(): void
  /** Leaves no process behind. */
  destroy(): Promise<void>
}

const READY_PATIENCE_MS = 60_000

/** A number of workers. When one ends, for any reason, the next one starts at once, as under a supervisor. */
export function createFleet<Of extends Member>(options: {
  size: number
  start: (slot: number) => Promise<Of>
  /** The next worker starts when this has resolved. */
  hasEnded: (member: Of, exit: Exit) => Promise<void>
}): Fleet<Of> {
  const { size, start, hasEnded } = options
  const members: Of[] = []
  const alive = new Set<Of>()
  let isStopping = false

  async function spawn(slot: number): Promise<void> {
    const member = await start(slot)
    members[slot] = member
    alive.add(member)
    void member.exited.then(async (exit) => {
      alive.delete(member)
      await hasEnded(member, exit)
      if (!isStopping) await spawn(slot)
    })
  }

  async function untilReady(isReady = (member: Of) => member.isReady): Promise<void> {
    await waitFor(() => members.every((member) => !member.hasExited() && isReady(member)), {
      timeoutMs: READY_PATIENCE_MS,
      message: 'The workers did not become ready',
    })
  }

  return {
    members,
    untilReady,
    async start() {
      await Promise.all(Array.from({ length: size }, (_, slot) => spawn(slot)))
      await untilReady()
    },
    stopRestarting() {
      isStopping = true
    },
    async destroy() {
      isStopping = true
      // A worker that is being started at this moment is in the set a moment later.
      while (alive.size > 0) {
        const workers = [...alive]
        for (const worker of workers) worker.signal('SIGKILL')
        await Promise.all(workers.map(({ exited }) => exited))
        await pause(0)
      }
    },
  }
}
