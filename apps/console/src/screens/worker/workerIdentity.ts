import type { ConsoleWorker } from '@roundsman/admin/contract'

/** Reads a worker's id, such as `web-1:4711:0a1b2c3d`; null for an id of another form. */
export function readWorkerId(id: string): { host: string; process: string } | null {
  const [, host, process] = /^(.+):(\d+):[0-9a-f]+$/.exec(id) ?? []
  return host !== undefined && process !== undefined ? { host, process } : null
}

export type WorkerState = 'alive' | 'silent' | 'gone'

/** The state of a worker, as it was when the server looked. */
export function workerState({
  isAlive,
  isSilent,
}: Pick<ConsoleWorker, 'isAlive' | 'isSilent'>): WorkerState {
  if (!isAlive) return 'gone'
  return isSilent ? 'silent' : 'alive'
}

/** Says `syncOrder`, or `syncOrder × 9 of 10`. */
export function describeLane({ name, inUse, of }: ConsoleWorker['lanes'][number]): string {
  if (inUse === 1 && (of === null || of === 1)) return name
  const most = of === null ? '' : ` of ${of.toLocaleString('en')}`
  return `${name} × ${inUse.toLocaleString('en')}${most}`
}
