const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Does something that leaves a mess where it is broken off, such as an embedded database that nobody stops: a signal
 * that comes meanwhile takes effect when it is done, and a second one at once.
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
