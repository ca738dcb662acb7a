/** One of the compared engines, in a process of its own. */
export interface Engine {
  /** Enqueues that many no-op jobs, numbered from 0, in the engine's way for many at once. */
  enqueue(count: number): Promise<void>
  /** Opens what enqueues one job at a time, in the way with which the engine's documentation begins. */
  openProducer(): Promise<Producer>
  /** Starts the worker, as in a process that was just started. Each job calls `onHandled`. */
  start(onHandled: (n: number) => void): Promise<void>
  /** Whether every job is settled in the engine's own storage, not only handled. */
  isSettled(): Promise<boolean>
  /** How many jobs did not end well, and how many audit rows say of a job that it did. Null when there is no audit. */
  count(): Promise<{ left: number; audited: number | null }>
  close(): Promise<void>
}

export interface Producer {
  /** Resolves to when its commit was sent, by process.hrtime. Null: at this call. */
  send(n: number): Promise<bigint | null>
  close(): Promise<void>
}

export type CreateEngine<Settings> = (url: string, settings: Settings) => Promise<Engine>

/** No-op jobs with numbers from 0 on, 5,000 at a time, as an engine's own call takes them. */
export function* inChunks<Item>(count: number, make: (n: number) => Item): Generator<Item[]> {
  const chunk = 5_000
  for (let from = 0; from < count; from += chunk) {
    yield Array.from({ length: Math.min(chunk, count - from) }, (_, index) => make(from + index))
  }
}
