import { watchLaunchers } from './watchLaunchers.ts'

/** The exit code of programs that were interrupted, as shells have it. */
export const INTERRUPTED = 130

/** pnpm hands Ctrl-C on to what it runs, which may have it from the terminal already. */
const SAME_KEYPRESS_MS = 400

export interface StopRequest {
  /** Aborted at the first wish to stop; the reason says whose. */
  signal: AbortSignal
  /** Called when somebody cannot wait for the end that the first wish began. */
  onImpatience(listener: () => void): void
  isImpatient(): boolean
}

/** The wishes to stop: Ctrl-C, SIGTERM, a closed terminal, the end of the npx or pnpm that started us. */
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
  // A closed terminal may say so more than once, which is not impatience.
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

/** Why a step was given up: not a failure. */
export class StopRequested extends Error {
  override readonly name = 'StopRequested'

  constructor(wish: string) {
    super(`Stopped by ${wish}`)
  }
}
