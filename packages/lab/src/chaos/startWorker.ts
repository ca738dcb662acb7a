import { join } from 'node:path'
import { createProxy, type Proxy } from '@roundsman/testing'
import { startMember, type Member } from '../createFleet.ts'
import type { Server } from './openServer.ts'

export interface WorkerSettings {
  databaseUrl: string
  seed: number
  sweepBatch: number
  sweepPauseMs: number
  drainTimeoutMs: number
}

/** A line that the driver sends to a worker. */
export interface WorkerCommand {
  clockOffsetMs?: number
  sweepPauseMs?: number
}

/** A worker process with a network of its own. */
export interface ChaosWorker extends Member {
  proxy: Proxy
}

const ENTRY = join(import.meta.dirname, 'workerProcess.ts')

export async function startWorker(options: {
  server: Server
  database: string
  slot: number
  /** A command that runs it elsewhere, from where `databaseUrl` reaches the server past its proxy. Default: here. */
  within?: readonly string[]
  databaseUrl?: string
  settings: Omit<WorkerSettings, 'databaseUrl'>
  onLine: (line: string) => void
}): Promise<ChaosWorker> {
  const { server, database, slot, within = [], onLine } = options
  const proxy = await createProxy(server.port)
  const databaseUrl = options.databaseUrl ?? server.url(database, proxy.port)
  const settings: WorkerSettings = { ...options.settings, databaseUrl }
  // Kept as one object: the fleet writes into it.
  return Object.assign(startMember(ENTRY, slot, { settings, within, onLine }), { proxy })
}
