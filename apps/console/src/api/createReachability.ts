/** Whether the server answers. */
export type ReachabilityState =
  | { kind: 'reached' }
  /** Since its last sign of life. */
  | { kind: 'gone'; since: number }

export interface Reachability {
  read(): ReachabilityState
  subscribe(listener: () => void): () => void
  /** An answer came, whatever it said. */
  reached(): void
  /** None came. */
  lost(): void
}

const REACHED: ReachabilityState = { kind: 'reached' }

/** What the last requests say about the server; every request reports to it. */
export function createReachability(now: () => number): Reachability {
  let state = REACHED
  let lastSignAt: number | null = null
  const listeners = new Set<() => void>()

  function set(next: ReachabilityState): void {
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
