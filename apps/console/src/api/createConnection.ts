/** Whether the server answers. */
export type ConnectionState =
  | { kind: 'reached' }
  /** Since its last sign of life. */
  | { kind: 'gone'; since: number }

export interface Connection {
  read(): ConnectionState
  subscribe(listener: () => void): () => void
  /** An answer came, whatever it said. */
  reached(): void
  /** None came. */
  lost(): void
}

const REACHED: ConnectionState = { kind: 'reached' }

/** What the last requests say about the server; every request reports to it. */
export function createConnection(now: () => number): Connection {
  let state = REACHED
  let lastSignAt: number | null = null
  const listeners = new Set<() => void>()

  function set(next: ConnectionState): void {
    if (next.kind === state.kind) return
    state = next
    for (const listener of listeners) listener()
  }

  return {
    read: () => state,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    reached() {
      lastSignAt = now()
      set(REACHED)
    },
    lost: () => set({ kind: 'gone', since: lastSignAt ?? now() }),
  }
}
