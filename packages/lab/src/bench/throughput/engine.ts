/** One of those that are compared, in a process of its own. */
export interface Engine {
  /** Puts that many no-op jobs, numbered from 0, into its queue, by the way it has for many at once. */
  enqueue(count: number): Promise<void>
  /** What puts one job at a time into its queue, by the way its documentation begins with. */
  openProducer(): Promise<Producer>
  /** Starts to work, as if the process had just been started; `onHandled` is what each job does. */
  start(onHandled: (n: number) => void): Promise<void>
  /** Whether every job is settled where the engine keeps them, not only handled. */
  isSettled(): Promise<boolean>
  /** How many jobs did not end well, and how many audit rows say of one that it did; null where there is no audit. */
  count(): Promise<{ left: number; audited: number | null }>
  close(): Promise<void>
}

export interface Producer {
  /** Tells when its commit was asked for, by process.hrtime; null: by this call. */
  send(n: number): Promise<bigint | null>
  close(): Promise<void>
}

export type CreateEngine<Settings> = (url: string, settings: Settings) => Promise<Engine>
