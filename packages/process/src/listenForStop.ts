/**
 * Ctrl-C reaches every process of the terminal's group, and a supervisor then sends it once more.
 */
const SAME_WISH_MS = 250

/**
 * A signal that is aborted when the process should stop: at SIGTERM, SIGINT or SIGHUP or, when it
 * is supervised, at the end of its standard input, which its supervisor holds open as long as it
 * lives. Whoever sends a second signal does not want to wait: the process exits at once, with 1.
 */
export function listenForStop({ isSupervised }: { isSupervised: boolean }): AbortSignal {
  const stop = new AbortController()
  let firstSignalAt: number | undefined
  const onSignal = (signal: NodeJS.Signals) => {
    firstSignalAt ??= performance.now()
    if (performance.now() - firstSignalAt > SAME_WISH_MS) process.exit(1)
    stop.abort(signal)
  }
  // SIGHUP: the terminal was closed.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, onSignal)
  if (isSupervised) {
    const onEnd = () => stop.abort('standard input ended')
    process.stdin.once('end', onEnd).once('error', onEnd).resume()
  }
  return stop.signal
}
