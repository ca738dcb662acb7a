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
