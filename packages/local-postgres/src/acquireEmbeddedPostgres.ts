import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import { openCluster, readPassword } from './openCluster.ts'
import { stopUnusedServer } from './stopUnusedServer.ts'
import { takeLease } from './takeLease.ts'

/*
 * The server of a cluster, as its holders see it.
 *
 *   none       No server. acquireEmbeddedPostgres() makes the cluster if need be and starts one: starting.
 *   starting   PostgreSQL starts or recovers from a crash. Ready within 30 s, or acquireEmbeddedPostgres() throws.
 *   ready      Each holder has a lease. Who gives a lease back, and gets the lock exclusively, was the last: stopping.
 *   stopping   The last holder stops it under that lock: nobody gets a lease meanwhile. Who wants one waits, and starts a new one.
 *   dead       It crashed or was killed, and left its postmaster.pid. The next to ask, or a holder, removes it: none.
 *
 * A lease is held, cut (the connection ended: keepLease() takes it again, once a second until it can) or given back.
 */

export interface EmbeddedPostgres {
  /**
   * The URL of the database `roundsman`. It stays right, unless onProgress says that the server came back on another port.
   */
  url: string
  /** Where the cluster's files are. */
  directory: string
  /** Gives the lease back; the last one to do so stops the server. Further calls do nothing. */
  release(): Promise<void>
}

export interface AcquireEmbeddedPostgresOptions {
  /** The cluster is the folder `postgres` in here. All who name the same folder share one server. */
  dataDir: string
  /** Called with a sentence about what takes time or is unusual. Default: nobody is told. */
  onProgress?: (message: string) => void
  signal?: AbortSignal
  /**
   * Server settings such as `{ fsync: 'off' }`, for tests. They take effect when this call starts the server. Default:
   * none, so that the database is as durable as one in production.
   */
  settings?: Record<string, string>
}

/**
 * Returns a PostgreSQL server that all processes with the same data folder share. The first one makes the cluster and
 * starts the server; the last one to release it stops it, also when others were killed. Each holder has a connection with a
 * shared advisory lock, and a process that stops the server takes the same lock exclusively.
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

  /** Takes the lease again when it was cut, by an operator's pg_terminate_backend or a crash of its backend. */
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
            onProgress(
              `PostgreSQL now listens on port ${lease.port}: restart the programs that use port ${port}`,
            )
          }
          break
        } catch (error) {
          if (closing.signal.aborted) break
          onProgress(
            `The connection that keeps PostgreSQL running was lost, trying again: ${(error as Error).message}`,
          )
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
    // Another holder was faster: the database exists, or is being created at this moment.
    if (!['42P04', '23505'].includes((error as { code?: string }).code ?? '')) throw error
  }
}
