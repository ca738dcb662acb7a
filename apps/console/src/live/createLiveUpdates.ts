import type { ConsoleRunEvent } from '@roundsman/admin/contract'
import type { QueryClient } from '@tanstack/react-query'
import type { Reachability } from '../api/createReachability.ts'
import { isBesideSession, SESSION_KEY } from '../session/sessionQuery.ts'

export type LiveMode =
  /** Waits for the event stream to begin. */
  | 'connecting'
  /** The server tells what changes. */
  | 'live'
  /** No stream comes through; the console asks every few seconds. */
  | 'polling'
  /** Nobody looks, so the console asks for nothing. */
  | 'resting'

export interface LiveUpdates {
  read(): LiveMode
  subscribe(listener: () => void): () => void
  /** Starts, and returns a function that stops it. */
  start(): () => void
}

export interface LiveUpdatesOptions {
  eventsUrl: string
  queries: QueryClient
  reachability: Reachability
  view: Document
}

/** Changes within this time are shown together: many runs may start and end in a second. */
const GATHER_MS = 1_000
/** Something on the way holds back an event stream that has not begun by then. */
const OPEN_WITHIN_MS = 5_000
/** Longer than two of the server's pings: a stream that is silent for so long is dead. */
const SILENT_MS = 25_000
const POLL_MS = 5_000
/** How soon to try the event stream again while polling. */
const RETRY_MS = 30_000
/** How often to ask for what no event tells: signs of life, lateness, the age of the queue. */
const UNTOLD_MS = 15_000
const UNTOLD = new Set<unknown>(['overview', 'job', 'queue', 'work', 'workers', 'schedules'])
const PROBE_MS = 3_000

/**
 * Keeps the screen current: by the server's events, by polling where no stream comes through, and by knocking while the
 * server is gone. A hidden tab does nothing; when people look at it again, it asks for everything.
 */
export function createLiveUpdates({
  eventsUrl,
  queries,
  reachability,
  view,
}: LiveUpdatesOptions): LiveUpdates {
  let mode: LiveMode = 'connecting'
  let source: EventSource | null = null
  const listeners = new Set<() => void>()
  const timers = new Map<string, ReturnType<typeof setTimeout>>()
  let ids = new Set<string>()
  let names = new Set<string>()

  function setMode(next: LiveMode): void {
    if (next === mode) return
    mode = next
    for (const listener of listeners) listener()
  }

  function later(name: string, delayMs: number, work: () => void): void {
    clearTimeout(timers.get(name))
    timers.set(
      name,
      setTimeout(() => {
        timers.delete(name)
        work()
      }, delayMs),
    )
  }

  function refetch(isWanted: (key: readonly unknown[]) => boolean): void {
    void queries.refetchQueries(
      {
        type: 'active',
        predicate: (query) => isBesideSession(query) && isWanted(query.queryKey),
      },
      // Wait for a slow answer instead of asking again and again.
      { cancelRefetch: false },
    )
  }

  function refreshAll(): void {
    void queries.invalidateQueries({ predicate: isBesideSession })
  }

  /** Asks again for what was answered before the stream began: it may have changed in between. */
  function refreshAnswered(): void {
    void queries.invalidateQueries({
      predicate: (query) => isBesideSession(query) && query.state.dataUpdatedAt > 0,
    })
  }

  function gather(data: unknown): void {
    const event = readEvent(data)
    for (const id of event.ids) ids.add(id)
    for (const name of event.names) names.add(name)
    if (!timers.has('tell')) later('tell', GATHER_MS, tell)
  }

  function tell(): void {
    const changes = { ids, names }
    ids = new Set()
    names = new Set()
    void queries.invalidateQueries({
      predicate: ({ queryKey, state }) => isTouched(queryKey, state.data, changes),
    })
  }

  function listen(): void {
    source?.close()
    const opened = new EventSource(eventsUrl)
    source = opened
    let isFirst = true
    later('open', OPEN_WITHIN_MS, poll)
    opened.addEventListener('open', () => {
      clear('open', 'poll', 'retry')
      reachability.reached()
      setMode('live')
      hear()
      later('untold', UNTOLD_MS, askUntold)
      // When the browser reconnects, it names the last event, and the server repeats what came after it. A new stream
      // starts without that.
      if (isFirst) refreshAnswered()
      isFirst = false
    })
    opened.addEventListener('run', ({ data }) => gather(data))
    opened.addEventListener('tick', ({ data }) => gather(data))
    opened.addEventListener('reset', refreshAll)
    for (const kind of ['run', 'tick', 'reset', 'ping']) opened.addEventListener(kind, hear)
    opened.addEventListener('error', () => {
      // The browser reconnects by itself after a dropped connection, but not after a refusal.
      if (opened.readyState === EventSource.CLOSED || mode !== 'live') poll()
      else later('open', OPEN_WITHIN_MS, poll)
      // A dropped stream is the first sign that the server is gone, or the log-in over.
      probe()
    })
  }

  function hear(): void {
    // An event does not prove that requests get through again, if one has just failed.
    if (reachability.read().kind === 'reached') reachability.reached()
    later('silence', SILENT_MS, doubt)
  }

  /**
   * Opens a new stream, and asks for the session: an answer tells whether only the stream is dead or the server is
   * gone.
   */
  function doubt(): void {
    listen()
    probe()
  }

  function poll(): void {
    source?.close()
    source = null
    clear('open', 'untold', 'silence')
    setMode('polling')
    later('poll', POLL_MS, function again() {
      if (reachability.read().kind === 'reached') refetch(() => true)
      later('poll', POLL_MS, again)
    })
    if (!timers.has('retry')) later('retry', RETRY_MS, listen)
  }

  function askUntold(): void {
    if (reachability.read().kind === 'reached') refetch((key) => UNTOLD.has(key[0]))
    later('untold', UNTOLD_MS, askUntold)
  }

  function knock(): void {
    if (reachability.read().kind === 'reached') {
      clear('knock')
      refreshAll()
      if (mode === 'polling') listen()
      return
    }
    if (view.hidden || timers.has('knock')) return
    later('knock', PROBE_MS, () => {
      probe()
      knock()
    })
  }

  function probe(): void {
    void queries.refetchQueries({ queryKey: SESSION_KEY }, { cancelRefetch: false })
  }

  function rest(): void {
    source?.close()
    source = null
    clear(...timers.keys())
    setMode('resting')
  }

  function wake(): void {
    setMode('connecting')
    refreshAll()
    listen()
    knock()
  }

  function follow(): void {
    if (view.hidden) rest()
    else wake()
  }

  function clear(...which: string[]): void {
    for (const name of which) {
      clearTimeout(timers.get(name))
      timers.delete(name)
    }
  }

  return {
    read: () => mode,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    start() {
      view.addEventListener('visibilitychange', follow)
      const ignore = reachability.subscribe(knock)
      if (!view.hidden) {
        listen()
        knock()
      }
      return () => {
        view.removeEventListener('visibilitychange', follow)
        ignore()
        rest()
      }
    },
  }
}

/** The runs and jobs that have changed since the queries were last told. */
interface Changes {
  ids: ReadonlySet<string>
  names: ReadonlySet<string>
}

/** Whether these changes may affect what a query holds. */
export function isTouched(queryKey: readonly unknown[], data: unknown, changes: Changes): boolean {
  const [kind, about] = queryKey
  switch (kind) {
    case 'overview':
    case 'jobs':
    case 'queue':
    case 'workers':
      return true
    case 'job':
      return typeof about === 'string' && changes.names.has(about)
    case 'run':
      // By name as well: another attempt at its work is another run.
      return typeof about === 'string' && (changes.ids.has(about) || hasName(data, changes.names))
    case 'runs':
    case 'schedules':
    case 'work':
    case 'deadLetters': {
      const name = (about as { name?: string } | undefined)?.name
      return name === undefined || changes.names.has(name)
    }
    default:
      return false
  }
}

function hasName(data: unknown, names: ReadonlySet<string>): boolean {
  const name = (data as { name?: unknown } | undefined)?.name
  return typeof name === 'string' && names.has(name)
}

/** Reads the runs and jobs that an event names; none if it can't be read. */
export function readEvent(data: unknown): ConsoleRunEvent {
  if (typeof data !== 'string') return { ids: [], names: [] }
  try {
    const { ids, names } = JSON.parse(data) as Partial<Record<'ids' | 'names', unknown>>
    return { ids: texts(ids), names: texts(names) }
  } catch {
    return { ids: [], names: [] }
  }
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : []
}
