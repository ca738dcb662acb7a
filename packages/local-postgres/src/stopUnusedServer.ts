import { setTimeout as pause } from 'node:timers/promises'
import { connectToServer, isConnectionLoss, LEASE_LOCK } from './connectToServer.ts'
import type { Cluster } from './openCluster.ts'
import { prepareBinaries } from './prepareBinaries.ts'
import { isPostmaster, readPostmaster } from './readPostmaster.ts'
import { runProgram } from './runProgram.ts'
import type { Lease } from './takeLease.ts'

const PATIENCE_MS = 30_000
const POLL_MS = 25

/**
 * Ends `own`, the caller's lease, and stops the server unless somebody holds another. It keeps the exclusive lock until the
 * server is down, and waits a moment for it: the server may not know yet that a holder was killed.
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
      await client.query('select pg_advisory_lock($1)', [LEASE_LOCK])
      await stop(cluster)
      return
    } catch (error) {
      const isHeldByOthers = (error as { code?: string }).code === '55P03'
      if (isHeldByOthers) return
      if (!isConnectionLoss(error)) throw error
    } finally {
      await client.end().catch(() => undefined)
      client = undefined
    }
  }
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
