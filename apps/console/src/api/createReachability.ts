/** Whether the server answers. */
export type ReachabilityState =
  | { kind: 'reached' }
  /** `since` is the server's last sign of life. */
  | { kind: 'gone'; since: number }

export interface Reachability {
  read(): ReachabilityState
  subscribe(listener: () => void): () => void
  /** Reports that an answer came, whatever it said. */
  reached(): void
  /** Reports that none came. */
  lost(): void
}

const REACHED: ReachabilityState = { kind: 'reached' }

/** Keeps whether the server can be reached. Every request reports to it; the banner and the live updates read it. */
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
