import { once } from 'node:events'
import type { DestinationStream } from 'pino'

/** Ctrl-C signals every process of the terminal's group, and a supervisor passes it on: both are one wish. */
const SAME_WISH_MS = 250

export interface ListenForStopOptions {
  isSupervised: boolean
  /** What the second signal does. Default: exit at once with code 1, as the third always does. */
  onImpatience?: () => void
}

/**
 * Returns a signal that is aborted when the process should stop: at SIGTERM, SIGINT or SIGHUP, or, when it is supervised,
 * when its standard input ends, which its supervisor holds open for as long as it lives. A second signal does not wait.
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
  // SIGHUP comes when the terminal is closed.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, onSignal)
  if (isSupervised) {
    const onEnd = () => stop.abort('standard input ended')
    process.stdin.once('end', onEnd).once('error', onEnd).resume()
  }
  return stop.signal
}

/** What a process hands to the program that it runs. */
export interface ProcessHost {
  /** The environment variables. Undefined: those of this process. */
  variables: NodeJS.ProcessEnv | undefined
  /** Gets the reason when the program cannot start. */
  stderr: { write(text: string): unknown }
  /** Where the log goes. Default: standard output. */
  logDestination?: DestinationStream
  listenForStop: typeof listenForStop
}

export interface AwaitReleaseOptions {
  /** Whether the starter of this process holds it back. If not, there is nothing to wait for. */
  isHeld: boolean
  stop: AbortSignal
}

/**
 * Waits until the supervisor writes a line to standard input: our code loads while the database starts, and does nothing
 * before. Call it in the same tick as listenForStop, which also reads standard input and would drop the line.
 * @returns false when the process has to stop instead
 */
export async function awaitRelease({ isHeld, stop }: AwaitReleaseOptions): Promise<boolean> {
  if (isHeld && !stop.aborted) {
    await once(process.stdin, 'data', { signal: stop }).catch((error: unknown) => {
      // An error of standard input ends it, which is a wish to stop.
      if (!stop.aborted) throw error
    })
  }
  return !stop.aborted
}
