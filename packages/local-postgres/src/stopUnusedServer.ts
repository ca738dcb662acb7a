import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import { connectToServer, isConnectionLoss, LEASE_LOCK, LEASE_NAME } from './connectToServer.ts'
import { isAlive } from './isAlive.ts'
import type { Cluster } from './openCluster.ts'
import { prepareBinaries } from './prepareBinaries.ts'
import { isPostmaster, readPostmaster } from './readPostmaster.ts'
import { runProgram } from './runProgram.ts'
import type { Lease } from './takeLease.ts'

const PATIENCE_MS = 30_000
const POLL_MS = 25
/** How long the server may take to notice that a holder was killed. */
const NOTICE_MS = 10_000

/**
 * Ends `own`, the caller's lease, and stops the server unless a living process holds another. It keeps the exclusive lock
 * until the server is down.
 */
export async function stopUnusedServer(cluster: Cluster, own?: Lease): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  let client = own?.client
  while (Date.now() < deadline) {
    if (client === undefined) {
      const postmaster = await readPostmaster(cluster.data)
      if (postmaster.state !== 'ready' && postmaster.state !== 'busy') return
      if (postmaster.state === 'ready') {
        client = (await connectToServer(cluster, postmaster.port))?.client
      }
    }
    if (client === undefined) {
      await pause(POLL_MS)
      continue
    }
    try {
      await client.query('select pg_advisory_unlock_all()')
      // A time-out of the lock is an expected answer: the server's log need not record it as an error.
      await client.query("set lock_timeout = '250ms'; set log_min_messages = fatal")
      if (await lockUnlessHeld(client)) await stop(cluster)
      return
    } catch (error) {
      if (!isConnectionLoss(error)) throw error
    } finally {
      await client.end().catch(() => undefined)
      client = undefined
    }
  }
}

/** Takes the exclusive lock, and waits for the leases of processes that are gone. */
async function lockUnlessHeld(client: pg.Client): Promise<boolean> {
  const deadline = Date.now() + NOTICE_MS
  for (;;) {
    try {
      await client.query('select pg_advisory_lock($1)', [LEASE_LOCK])
      return true
    } catch (error) {
      if ((error as { code?: string }).code !== '55P03') throw error
    }
    if (Date.now() > deadline || (await isHeldByLiving(client))) return false
  }
}

async function isHeldByLiving(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ name: string }>(
    `select application_name as name from pg_stat_activity join pg_locks using (pid)
     where locktype = 'advisory' and granted`,
  )
  // Without a pid, which becomes 0 here, it is the lease of a version that did not tell it.
  return rows.some(({ name }) => isAlive(Number(name.slice(LEASE_NAME.length))))
}

async function stop(cluster: Cluster): Promise<void> {
  const { account, data, fallbackFolders, home } = cluster
  const postmaster = await readPostmaster(data)
  // The folder was deleted under the server, which notices within a minute and stops by itself.
  if (postmaster.state !== 'ready' && postmaster.state !== 'busy') return
  const { pgCtl } = await prepareBinaries({
    account,
    fallbackFolders,
    onProgress: () => undefined,
  })
  // Without -w: pg_ctl would wait for any server on this folder to stop, even for one that somebody starts the moment this
  // one is gone.
  const { exitCode, output } = await runProgram(
    pgCtl,
    ['stop', '-m', 'fast', '-W', '-s', '-D', 'data'],
    { account, cwd: home },
  )
  // A server that somebody else stops first has removed its file, and pg_ctl found none: it only remains to wait for it.
  const isRefused = exitCode !== 0 && (await readPostmaster(data)).state !== 'absent'
  const deadline = Date.now() + PATIENCE_MS
  while (await isPostmaster(postmaster.pid, data, postmaster.port)) {
    if (isRefused || Date.now() > deadline) {
      throw new Error(
        `The PostgreSQL in ${home} did not stop (pg_ctl, exit code ${exitCode}) ${output}. Its log is ` +
          'postgres.log in that folder.',
      )
    }
    await pause(POLL_MS)
  }
}
