import { setTimeout as pause } from 'node:timers/promises'

const POLL_MS = 50

export interface ReadyCheck {
  name: string
  /** Answers 2xx once the process can do its work. */
  url: string
}

export interface WaitUntilReadyOptions {
  checks: ReadyCheck[]
  timeoutMs: number
  signal: AbortSignal
}

export interface NotReady {
  name: string
  /** What its address answered last. */
  answer: string
}

/** Waits until all are ready, and returns those that are not when the time is over. Rejects when aborted. */
export async function waitUntilReady(options: WaitUntilReadyOptions): Promise<NotReady[]> {
  const { checks, timeoutMs, signal } = options
  const deadline = performance.now() + timeoutMs
  let pending = checks
  for (;;) {
    const answers = await Promise.all(pending.map(({ url }) => ask(url, signal)))
    signal.throwIfAborted()
    const notReady = pending
      .map((check, index) => ({ ...check, answer: answers[index] ?? '' }))
      .filter(({ answer }) => answer !== 'ready')
    if (notReady.length === 0 || performance.now() > deadline) return notReady
    pending = pending.filter(({ name }) => notReady.some((check) => check.name === name))
    await pause(POLL_MS, undefined, { signal })
  }
}

/** `ready`, or what the address answered instead. */
async function ask(url: string, signal: AbortSignal): Promise<string> {
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(3_000)]),
    })
    const body = await response.text()
    return response.ok ? 'ready' : `${response.status} ${body.slice(0, 200)}`
  } catch (error) {
    return error instanceof Error && error.name === 'TimeoutError'
      ? 'no answer in 3 s'
      : 'no answer'
  }
}
