import { getHeapStatistics } from 'node:v8'

/** How many bytes of payloads the lanes of a worker may hold together. */
export interface PayloadBudget {
  hasRoom(): boolean
  /** Counts these bytes, also beyond the limit: they are here already. */
  reserve(bytes: number): void
  release(bytes: number): void
  /** Calls back once bytes have come free, those first that have waited longest. */
  wait(onRoom: () => void): void
}

/** The part of the heap that payloads of a worker's runs may take. The last claims may exceed it. */
const PART_OF_HEAP = 1 / 8

/** `maxBytes` is an eighth of the heap's limit by default. */
export function createPayloadBudget(
  maxBytes = getHeapStatistics().heap_size_limit * PART_OF_HEAP,
): PayloadBudget {
  let bytes = 0
  let calling: NodeJS.Immediate | undefined
  const waiting = new Set<() => void>()
  const hasRoom = () => bytes < maxBytes

  return {
    hasRoom,
    reserve(more) {
      bytes += more
    },
    release(fewer) {
      bytes -= fewer
      if (waiting.size === 0 || !hasRoom()) return
      // Runs that settle together free their bytes together.
      calling ??= setImmediate(() => {
        calling = undefined
        const ready = [...waiting]
        waiting.clear()
        // A lane that finds no room left waits again, behind the others.
        for (const onRoom of ready) onRoom()
      })
    },
    wait: (onRoom) => void waiting.add(onRoom),
  }
}
