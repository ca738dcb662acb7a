import { once } from 'node:events'
import type { DestinationStream } from 'pino'

/**
 * Ctrl-C reaches every process of the terminal's group, and a supervisor then sends it once more.
 */
const SAME_WISH_MS = 250

export interface ListenForStopOptions {
  isSupervised: boolean
  /** What to do at the second wish. Default: exit at once, with 1, as at the third in any case. */
  onImpatience?: () => void
}

/**
 * A signal that is aborted when the process should stop: at SIGTERM, SIGINT or SIGHUP or, when it
 * is supervised, at the end of its standard input, which its supervisor holds open as long as it
 * lives. Whoever sends a second signal does not want to wait.
 */
export function listenForStop({ isSupervised, onImpatience }: ListenForStopOptions): AbortSignal {
  const stop = new AbortController()
  let lastWishAt: number | undefined
  let wishes = 0
  const onSignal = (signal: NodeJS.Signals) => {
    if (lastWishAt !== undefined && performance.now() - lastWishAt < SAME_WISH_MS) return
    lastWishAt = performance.now()
    wishes += 1
    if (wishes === 1) stop.abort(signal)
    else if (wishes === 2 && onImpatience) onImpatience()
    else process.exit(1)
  }
  // SIGHUP: the terminal was closed.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, onSignal)
  if (isSupervised) {
    const onEnd = () => stop.abort('standard input ended')
    process.stdin.once('end', onEnd).once('error', onEnd).resume()
  }
  return stop.signal
}

/** What a process gives to the program that it runs. */
export interface ProcessHost {
  /** Environment variables. Undefined: those of this process. */
  variables: NodeJS.ProcessEnv | undefined
  /** For what keeps it from starting. */
  stderr: { write(text: string): unknown }
  /** Where its log goes. Default: standard output. */
  logDestination?: DestinationStream
  listenForStop: typeof listenForStop
}

export interface AwaitReleaseOptions {
  /** Whether whoever started this process holds it back; else there is nothing to wait for. */
  isHeld: boolean
  stop: AbortSignal
}

/**
 * Waits for the supervisor's word to begin, which is a line on standard input: so our code is loaded while
 * the database still starts, and we neither listen nor work before we may. Call it in the same breath as
 * listenForStop, which reads standard input too and drops what nobody waits for.
 * Resolves to false when the process is to stop instead.
 */
export async function awaitRelease({ isHeld, stop }: AwaitReleaseOptions): Promise<boolean> {
  if (isHeld && !stop.aborted) {
    await once(process.stdin, 'data', { signal: stop }).catch((error: unknown) => {
      // An error of standard input is its end, which is a wish to stop.
      if (!stop.aborted) throw error
    })
  }
  return !stop.aborted
}
