import { setTimeout as pause } from 'node:timers/promises'
import { EnvironmentError } from '@roundsman/node-app'
import { findPortProblems, type FindPortProblemsOptions } from './findPortProblems.ts'

const POLL_MS = 100
/** In which processes whose start was killed notice it. */
const NOTICE_MS = 1_000

export interface AwaitPortsOptions extends FindPortProblemsOptions {
  /** Addresses that answer 503 while an earlier start of ours is still finishing its work. */
  readyUrls: string[]
  /** How long that may take. */
  drainTimeoutMs: number
  /** Called once, when there is something to wait for. */
  onWait: () => void
  signal: AbortSignal
}

/**
 * Resolves when the ports are free. They may still be held by the processes of a start that was killed,
 * which finish what they are doing first; those are waited for, others are not.
 * @throws EnvironmentError naming every port that stays taken
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
