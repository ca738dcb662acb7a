import type { ConsoleWorkerIdentity } from '@roundsman/admin/contract'

/** Reads a worker's id, such as `web-1:4711:0a1b2c3d`; null for an id of another form. */
export function readWorkerId(id: string): { host: string; process: string } | null {
  const [, host, process] = /^(.+):(\d+):[0-9a-f]+$/.exec(id) ?? []
  return host !== undefined && process !== undefined ? { host, process } : null
}

/** A living worker gives a sign every five seconds. */
const SILENT_AFTER_MS = 15_000

export type WorkerState = 'alive' | 'silent' | 'gone'

/**
 * The state of a worker. `seenAt` is when the server looked: a sign that was old then means silence, and not an old
 * page.
 */
export function workerState(
  worker: Pick<ConsoleWorkerIdentity, 'isAlive' | 'lastSignAt'>,
  seenAt: string,
): WorkerState {
  if (!worker.isAlive) return 'gone'
  const silentMs = Date.parse(seenAt) - Date.parse(worker.lastSignAt)
  return silentMs > SILENT_AFTER_MS ? 'silent' : 'alive'
}
