import { watchLaunchers } from './watchLaunchers.ts'

/*
 * The request to stop:
 *
 *   none       Nobody asked. A signal, a closed terminal or the end of a launcher makes it asked.
 *   asked      `signal` is aborted, and the start winds down. Another SIGINT or SIGTERM, 400 ms later, makes it impatient.
 *   impatient  The listeners kill what still runs. Final.
 */

/** The exit code that shells give to an interrupted program. */
export const INTERRUPTED = 130

/** pnpm passes Ctrl-C on to us, and the terminal may have sent it already: two within this time are one. */
const SAME_KEYPRESS_MS = 400

export interface StopRequest {
  /** Aborted at the first request to stop; the reason names its source. */
  signal: AbortSignal
  /** Calls back when somebody asks again, because stopping takes too long. */
  onImpatience(listener: () => void): void
  isImpatient(): boolean
}

/** Listens for requests to stop: Ctrl-C, SIGTERM, a closed terminal, the end of the npx or pnpm that started us. */
export function createStopRequest(): StopRequest {
  const controller = new AbortController()
  const listeners: (() => void)[] = []
  let firstAt = 0
  let isImpatient = false
  const stop = (wish: string) => {
    if (!controller.signal.aborted) {
      firstAt = Date.now()
      controller.abort(new StopRequested(wish))
    } else if (Date.now() - firstAt > SAME_KEYPRESS_MS) {
      isImpatient = true
      for (const listener of listeners) listener()
    }
  }
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, stop)
  // A closed terminal may send it more than once, which is no impatience.
  process.on('SIGHUP', () => {
    if (!controller.signal.aborted) stop('SIGHUP')
  })
  watchLaunchers((name) => {
    if (!controller.signal.aborted) stop(`the end of ${name}`)
  })
  return {
    signal: controller.signal,
    onImpatience: (listener) => void listeners.push(listener),
    isImpatient: () => isImpatient,
  }
}

/** Why a step was given up. It is no failure. */
export class StopRequested extends Error {
  override readonly name = 'StopRequested'

  constructor(wish: string) {
    super(`Stopped by ${wish}`)
  }
}
