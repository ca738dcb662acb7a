import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import { openCluster, readPassword } from './openCluster.ts'
import { stopUnusedServer } from './stopUnusedServer.ts'
import { takeLease } from './takeLease.ts'

export interface EmbeddedPostgres {
  /** Of the database `roundsman`. Stays right as long as the lease is held. */
  url: string
  /** Where the cluster's files are. */
  directory: string
  /** Gives the lease back; the last one stops the server. May be called again. */
  release(): Promise<void>
}

export interface AcquireEmbeddedPostgresOptions {
  /** The cluster is `postgres` in this folder. All who name the same folder share one server. */
  dataDir: string
  /** Told in one sentence what takes time or is unusual. Default: nobody. */
  onProgress?: (message: string) => void
  signal?: AbortSignal
  /**
   * Server settings like `{ fsync: 'off' }`, for tests. They hold if this call is the one that
   * starts the server. Default: none, so that the database is as durable as one in production.
   */
  settings?: Record<string, string>
}

/**
 * A PostgreSQL server shared by all processes that name the same data folder. The first one makes
 * the cluster and starts the server, the last one to release it stops it, and one that was killed
 * does not count. A holder is a connection with a shared advisory lock; stopping takes the same
 * lock exclusively.
 */
export async function acquireEmbeddedPostgres(
  options: AcquireEmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const { signal, settings = {}, onProgress = () => undefined } = options
  const isThrowaway = settings['fsync'] === 'off'
  const cluster = await openCluster({ dataDir: options.dataDir, isThrowaway, onProgress, signal })
  const context = { cluster, settings, onProgress }
  let lease = await takeLease({ ...context, signal })
  let password: string
  try {
    password = await readPassword(cluster)
    await createDatabaseIfMissing(lease.client)
    signal?.throwIfAborted()
  } catch (error) {
    await stopUnusedServer(cluster, lease)
    throw error
  }
  const { port } = lease
  const closing = new AbortController()
  const keeping = keepLease()
  let released: Promise<void> | undefined

  return {
    url: `postgresql://roundsman:${password}@127.0.0.1:${port}/roundsman`,
    directory: cluster.home,
    release: () => (released ??= release()),
  }

  /** A lease that is cut (an operator's pg_terminate_backend, a crashed backend) is taken again. */
  async function keepLease(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      closing.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    for (;;) {
      await Promise.race([lease.ended, closed])
      while (!closing.signal.aborted) {
        try {
          lease = await takeLease({ ...context, signal: closing.signal })
          if (lease.port !== port) {
            onProgress(`PostgreSQL came back on port ${lease.port}: restart what uses ${port}`)
          }
          break
        } catch (error) {
          if (closing.signal.aborted) break
          onProgress(`The lease on PostgreSQL is cut: ${(error as Error).message}`)
          await pause(1_000, undefined, { signal: closing.signal }).catch(() => undefined)
        }
      }
      if (closing.signal.aborted) return
    }
  }

  async function release(): Promise<void> {
    closing.abort()
    await keeping
    await stopUnusedServer(cluster, lease)
  }
}

async function createDatabaseIfMissing(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query("select from pg_database where datname = 'roundsman'")
  if (rowCount === 1) return
  try {
    await client.query('create database roundsman')
  } catch (error) {
    // Another holder was faster: it exists, or is being made at this moment.
    if (!['42P04', '23505'].includes((error as { code?: string }).code ?? '')) throw error
  }
}
