import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import {
  connectToServer,
  isConnectionLoss,
  LEASE_LOCK,
  type ServerConnection,
} from './connectToServer.ts'
import type { Cluster } from './openCluster.ts'
import { readPostmaster, removeStalePostmasterFile } from './readPostmaster.ts'
import { startServer } from './startServer.ts'
import { stopUnusedServer } from './stopUnusedServer.ts'

/** How long a server may take to start, to recover from a crash or to stop. */
const PATIENCE_MS = 30_000
/** PostgreSQL fills an empty postmaster.pid at once, unless the machine lost power while it was written. */
const UNCLEAR_MS = 2_000
const POLL_MS = 25

export interface Lease extends ServerConnection {
  port: number
}

export interface TakeLeaseOptions {
  cluster: Cluster
  settings: Record<string, string>
  onProgress: (message: string) => void
  signal: AbortSignal | undefined
}

/**
 * Finds or starts the server and takes a shared lock on it. A process that stops the server holds that lock exclusively: then we
 * wait for it, lose the connection when the server is gone, and begin again.
 * @throws Error when the server cannot start, refuses us, or cannot be reached within 30 s
 */
export async function takeLease(options: TakeLeaseOptions): Promise<Lease> {
  const { cluster, signal } = options
  const deadline = Date.now() + PATIENCE_MS
  let hasStarted = false
  let keepPort = true
  let unclearSince: number | undefined
  try {
    for (;;) {
      signal?.throwIfAborted()
      const postmaster = await readPostmaster(cluster.data)
      if (Date.now() > deadline) throw tooLate(cluster, postmaster.state)
      if (postmaster.state !== 'unclear') unclearSince = undefined
      switch (postmaster.state) {
        case 'ready': {
          const connection = await connectAndLock(cluster, postmaster.port)
          if (connection !== undefined) return { ...connection, port: postmaster.port }
          break
        }
        case 'absent': {
          const outcome = await startServer(cluster, { ...options, keepPort })
          if (outcome === 'started') hasStarted = true
          // The port of the last start may be in use by now.
          else keepPort = false
          break
        }
        case 'dead':
          await removeStalePostmasterFile(cluster.data, postmaster.content)
          continue
        case 'unclear':
          unclearSince ??= Date.now()
          if (Date.now() - unclearSince > UNCLEAR_MS) {
            await removeStalePostmasterFile(cluster.data, postmaster.content)
          }
          break
        case 'busy':
          break
        default:
          postmaster satisfies never
      }
      await pause(POLL_MS, undefined, { signal })
    }
  } catch (error) {
    // Nobody else may come to stop the server that we started. The first error is the one to tell.
    if (hasStarted) await stopUnusedServer(cluster).catch(() => undefined)
    throw error
  }
}

async function connectAndLock(
  cluster: Cluster,
  port: number,
): Promise<ServerConnection | undefined> {
  const connection = await connectToServer(cluster, port)
  if (connection === undefined) return undefined
  const { client } = connection
  try {
    await client.query('select pg_advisory_lock_shared($1)', [LEASE_LOCK])
    const { rows } = await client.query<{ data_directory: string }>('show data_directory')
    // Where processes cannot be inspected, another server may have taken this port.
    if (rows[0] && resolve(rows[0].data_directory) === cluster.data) return connection
  } catch (error) {
    if (!isConnectionLoss(error) && !isCancelled(error)) {
      await client.end().catch(() => undefined)
      throw error
    }
  }
  await client.end().catch(() => undefined)
  return undefined
}

/** Our own statement_timeout cancelled the wait: somebody is stopping the server and takes long. */
function isCancelled(error: unknown): boolean {
  return (error as { code?: string }).code === '57014'
}

function tooLate(cluster: Cluster, state: string): Error {
  return new Error(
    `The PostgreSQL in ${cluster.home} could not be reached within ${PATIENCE_MS / 1_000} s; the last ` +
      `that was seen of it: ${state}. Its log is postgres.log in that folder. Try again if it is ` +
      'recovering from a crash, or set DATABASE_URL to a server of your own.',
  )
}
