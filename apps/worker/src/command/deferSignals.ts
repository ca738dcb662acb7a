const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Does something that would leave a mess when interrupted, such as an embedded database that nobody stops. A signal that
 * arrives meanwhile takes effect afterwards, and a second one at once.
 */
export async function deferSignals<Result>(
  work: () => Promise<Result>,
  end: (signal: NodeJS.Signals) => void = (signal) => process.kill(process.pid, signal),
): Promise<Result> {
  let wish: NodeJS.Signals | null = null
  const stopListening = () => {
    for (const signal of SIGNALS) process.off(signal, onSignal)
  }
  const onSignal = (signal: NodeJS.Signals) => {
    wish ??= signal
    stopListening()
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  try {
    return await work()
  } finally {
    stopListening()
    if (wish !== null) end(wish)
  }
}
