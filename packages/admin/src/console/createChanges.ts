import { randomUUID } from 'node:crypto'
import type { Announcement, JobsClient } from '@roundsman/engine/client'

/** A server-sent event: its id, its kind, and its data as JSON. */
export interface ChangeEvent {
  id: string
  event: 'run' | 'tick' | 'reset'
  data: string
}

export interface Changes {
  /**
   * Calls back on every change from now on. Given the id of an earlier event, it first sends later ones, or `reset` if that id
   * is no longer known. Returns a function that ends it.
   */
  subscribe(onEvent: (event: ChangeEvent) => void, lastEventId?: string): () => void
  /** The id of the latest event: a new subscriber has missed nothing after it. */
  position(): string
  close(): Promise<void>
}

/** Enough for a client that was away for a moment. A longer absence gets `reset`, and the client reads everything again. */
const MAX_KEPT = 500

/** Keeps one listener to PostgreSQL for all clients of this process. */
export function createChanges(client: Pick<JobsClient, 'watchChanges'>): Changes {
  const subscribers = new Set<(event: ChangeEvent) => void>()
  const kept: ChangeEvent[] = []
  // Part of each id, since another process, or this one after a restart, counts from the start.
  const process = randomUUID().slice(0, 8)
  let count = 0

  function publish(event: ChangeEvent['event'], data: object): void {
    const change = { id: `${process}-${++count}`, event, data: JSON.stringify(data) }
    kept.push(change)
    if (kept.length > MAX_KEPT) kept.shift()
    for (const subscriber of subscribers) subscriber(change)
  }

  function since(lastEventId: string): readonly ChangeEvent[] {
    if (lastEventId === position()) return []
    // Just before the first kept event.
    if (lastEventId === `${process}-${count - kept.length}`) return kept
    const index = kept.findIndex(({ id }) => id === lastEventId)
    if (index >= 0) return kept.slice(index + 1)
    return [{ id: position(), event: 'reset', data: '{}' }]
  }

  function position(): string {
    return `${process}-${count}`
  }

  const watch = client.watchChanges({
    onChange({ ids, names, ticks }: Announcement) {
      if (names.length > 0) publish('run', { ids, names })
      if (ticks.length > 0) publish('tick', { names: ticks })
    },
    onGap: () => publish('reset', {}),
  })

  return {
    subscribe(onEvent, lastEventId) {
      if (lastEventId !== undefined) for (const event of since(lastEventId)) onEvent(event)
      subscribers.add(onEvent)
      return () => subscribers.delete(onEvent)
    },
    position,
    close: () => watch.close(),
  }
}
