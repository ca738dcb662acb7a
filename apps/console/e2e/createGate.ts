import { setMaxListeners } from 'node:events'

/** A gate at which a handler waits until the test opens it. */
export interface Gate {
  /** Lets so many through, now or once they come. */
  open(count: number): void
  /** @throws the signal's reason when it is aborted */
  pass(signal: AbortSignal): Promise<void>
}

export function createGate(): Gate {
  let free = 0
  const waiting = new Set<() => void>()
  return {
    open(count) {
      for (let left = count; left > 0; left -= 1) {
        const [next] = waiting
        if (next) next()
        else free += 1
      }
    },
    pass(signal) {
      signal.throwIfAborted()
      if (free > 0) {
        free -= 1
        return Promise.resolve()
      }
      setMaxListeners(0, signal)
      return new Promise((resolve, reject) => {
        const goOn = () => {
          waiting.delete(goOn)
          resolve()
        }
        waiting.add(goOn)
        signal.addEventListener('abort', () => {
          waiting.delete(goOn)
          reject(signal.reason)
        })
      })
    },
  }
}
