import { once } from 'node:events'

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
