import { setTimeout as pause } from 'node:timers/promises'
import { EnvironmentError } from '@roundsman/node-app'
import { findPortProblems, type FindPortProblemsOptions } from './findPortProblems.ts'

const POLL_MS = 100
/** How long processes take to notice that their start was killed. */
const NOTICE_MS = 1_000

export interface AwaitPortsOptions extends FindPortProblemsOptions {
  /** Addresses that answer 503 while the processes of an earlier start still finish their work. */
  readyUrls: string[]
  /** How long that work may take. */
  drainTimeoutMs: number
  /** Called once, before it waits for an earlier start. */
  onWait: () => void
  signal: AbortSignal
}

/**
 * Resolves when the ports are free. The processes of a start that was killed may hold them and finish their work first:
 * it waits for those, and for nobody else.
 * @throws EnvironmentError that names every port which stays taken
 */
export async function awaitPorts(options: AwaitPortsOptions): Promise<void> {
  const { readyUrls, drainTimeoutMs, onWait, signal } = options
  const startedAt = performance.now()
  let isWaiting = false
  for (;;) {
    const problems = await findPortProblems(options)
    if (problems.length === 0) return
    const isDraining = (
      await Promise.all(readyUrls.map((url) => isFinishing(url, signal)))
    ).includes(true)
    const patienceMs = isDraining ? drainTimeoutMs : NOTICE_MS
    const canPass = problems.every(({ isTaken }) => isTaken)
    if (!canPass || performance.now() - startedAt > patienceMs) {
      throw new EnvironmentError(problems.map(({ message }) => message))
    }
    if (isDraining && !isWaiting) {
      isWaiting = true
      onWait()
    }
    await pause(POLL_MS, undefined, { signal })
  }
}

/** Whether what answers there is an API or a worker that is not ready, as while it stops. */
async function isFinishing(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(1_000)]),
    })
    await response.body?.cancel()
    return response.status === 503
  } catch {
    return false
  }
}
