import { execFile } from 'node:child_process'
import { appendFile, chmod, chown, mkdir, readFile, rm, statfs, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import {
  isPostmaster,
  openCluster,
  readPassword,
  readPostmaster,
  startServer,
  type Cluster,
} from '@roundsman/local-postgres/server'
import { openPool, type Pool } from '../openPool.ts'
import { WORKSPACE_ROOT } from '../startProcess.ts'
import { createProxy, makeServerFolder, waitFor } from '@roundsman/testing'

/** A PostgreSQL with a synchronous standby, to be stopped at the worst moment. */
export interface Server {
  /** Leads to whichever server is the primary. */
  port: number
  /** The URL of a database, through the given port: the server's own or a proxy's. */
  url(database: string, port?: number): string
  /**
   * `fast` ends all sessions in order; `immediate` is a crash, from which the next start recovers. Resolves when it takes
   * connections again.
   */
  restart(mode: StopMode, downMs: number): Promise<void>
  /**
   * Crashes the primary, promotes the standby and makes a new one. With `splitMs` the old primary goes on for that long
   * with the connections that it has, while new ones lead to the new primary. Commits on the old one then wait for a
   * standby that it no longer has, and are lost with it.
   */
  failOver(splitMs: number): Promise<void>
  /**
   * Leaves no free byte on the disk of primary and standby for a while, and then restarts what crashed. Resolves to false
   * without a disk of its own to fill, which takes root on Linux.
   */
  fillDisk(durationMs: number): Promise<boolean>
  /** Stops it and removes its data. */
  close(): Promise<void>
}

export type StopMode = 'fast' | 'immediate'

const run = promisify(execFile)
const PATIENCE_MS = 60_000
/** More than it ever needs. It takes only as much memory as is used. */
const DISK_SIZE = '16g'
const SPARE_BLOCKS = 16
const SHRINK_TRIES = 20
const SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const

// fsync is for machines that lose power: the kernel keeps what a crashed server has written. Commits stay synchronous,
// since the suite is about what was committed.
const SETTINGS = { fsync: 'off', max_connections: '250', wal_keep_size: '512MB' }

export async function openServer(): Promise<Server> {
  const dataDir = await makeServerFolder('chaos-', join(WORKSPACE_ROOT, '.data'))
  const isOwnDisk = await mountDisk(dataDir)
  let standby: Cluster | undefined
  // Every cluster that was ever made.
  const clusters: Cluster[] = []
  // Runs one task at a time, and none after close().
  let turn: Promise<unknown> = Promise.resolve()
  let isClosed = false
  const inTurn = async <Result>(work: () => Promise<Result>): Promise<Result | undefined> => {
    const result = turn.then(async () => (isClosed ? undefined : await work()))
    turn = result.catch(() => undefined)
    return await result
  }
  try {
    const first = await openCluster({
      dataDir,
      isThrowaway: true,
      onProgress: () => undefined,
      signal: undefined,
    })
    let primary = first
    clusters.push(first)
    await start(first)
    const password = await readPassword(first)
    const front = await createProxy(await portOf(first))
    const connect = async (cluster: Cluster) => connectTo(await portOf(cluster), password)

    /** Makes a copy of the running primary that follows it. From then on every commit waits for the copy. */
    const makeStandby = async (): Promise<Cluster> => {
      if (standby !== undefined) return standby
      const of = primary
      const database = await connect(of)
      try {
        const home = join(dirname(of.home), `copy-${clusters.length}`)
        const next = { ...of, home, data: join(home, 'data') }
        clusters.push(next)
        // The copy must wait for nobody, should it become the primary.
        await database.query(`alter system set synchronous_standby_names = ''`)
        await copyCluster(database, of, next)
        const conninfo = `host=127.0.0.1 port=${await portOf(of)} user=roundsman password=${password}`
        await appendFile(
          join(next.data, 'postgresql.auto.conf'),
          `primary_conninfo = '${conninfo}'\n`,
        )
        await giveTo(next, join(next.data, 'standby.signal'), '')
        await start(next, { keepPort: false })
        await until(database, `select from pg_stat_replication where state = 'streaming'`)
        await database.query(`alter system set synchronous_standby_names = '*'`)
        await database.query('select pg_reload_conf()')
        await until(database, `select from pg_stat_replication where sync_state = 'sync'`)
        standby = next
        return next
      } finally {
        await database.close()
      }
    }
    await makeStandby()

    return {
      port: front.port,
      url: (database, through = front.port) =>
        `postgresql://roundsman:${password}@127.0.0.1:${through}/${database}`,
      async restart(mode, downMs) {
        await inTurn(async () => {
          const cluster = primary
          await stop(cluster, mode)
          await pause(downMs)
          if (!isClosed) await start(cluster)
        })
      },
      async failOver(splitMs) {
        await inTurn(async () => {
          const old = primary
          // Of two fail-overs shortly after each other, the second finds no standby yet.
          const next = await makeStandby()
          if (splitMs === 0) await stop(old, 'immediate')
          const database = await connect(next)
          try {
            await database.query('select pg_promote(true, 60)')
          } finally {
            await database.close()
          }
          front.retarget(await portOf(next))
          primary = next
          standby = undefined
          await pause(splitMs)
          await stop(old, 'immediate')
          await rm(old.home, { recursive: true, force: true, maxRetries: 5 })
        })
        // Made while the workers are back at work. If it fails, the next fail-over reports it.
        void inTurn(makeStandby).catch(() => undefined)
      },
      async fillDisk(durationMs) {
        if (!isOwnDisk) return false
        const isDone = await inTurn(async () => {
          await shrinkDisk(dataDir)
          await pause(durationMs)
          await resizeDisk(dataDir, DISK_SIZE)
          // A server that cannot write its log ends, and may not come up by itself while the disk is full.
          for (const cluster of [primary, standby]) if (cluster) await startAgain(cluster)
          return true
        })
        return isDone ?? false
      },
      async close() {
        isClosed = true
        await turn.catch(() => undefined)
        front.close()
        await remove(clusters, dataDir, isOwnDisk)
      },
    }
  } catch (error) {
    await remove(clusters, dataDir, isOwnDisk)
    throw error
  }
}

/** Mounts a file system in memory, whose size can be changed while it is in use. */
async function mountDisk(dataDir: string): Promise<boolean> {
  const isMounted = await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_SIZE}`, 'tmpfs', dataDir])
    .then(() => true)
    .catch(() => false)
  // When started by root, PostgreSQL runs under another account, which has to get in.
  await chmod(dataDir, 0o755)
  return isMounted
}

/** Shrinks the disk to what is in use. That may grow meanwhile, so that it tries again when it is refused. */
async function shrinkDisk(dataDir: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const { blocks, bfree, bsize } = await statfs(dataDir)
    try {
      return await resizeDisk(dataDir, String((blocks - bfree + tries * SPARE_BLOCKS) * bsize))
    } catch (error) {
      if (tries === SHRINK_TRIES) throw error
    }
  }
}

async function resizeDisk(dataDir: string, size: string): Promise<void> {
  await run('mount', ['-o', `remount,size=${size}`, dataDir])
}

async function portOf(cluster: Cluster): Promise<number> {
  const postmaster = await readPostmaster(cluster.data)
  if ('port' in postmaster) return postmaster.port
  throw new Error(`PostgreSQL is ${postmaster.state}`)
}

/** One connection, which is a session: what it began it can end. */
function connectTo(port: number, password: string): Pool {
  return openPool({
    url: `postgresql://roundsman:${password}@127.0.0.1:${port}/postgres`,
    applicationName: 'chaos server',
    poolSize: 1,
    statementTimeoutMs: null,
  })
}

async function until(database: Pool, question: string): Promise<void> {
  await waitFor(async () => (await database.query(question)).rowCount !== 0, {
    timeoutMs: PATIENCE_MS,
    message: `The standby does not follow: ${question}`,
  })
}

/**
 * Copies as pg_basebackup does, which the embedded programs lack: the log since the start of the backup repairs files that
 * changed meanwhile.
 */
async function copyCluster(database: Pool, from: Cluster, to: Cluster): Promise<void> {
  await mkdir(to.home, { mode: 0o700 })
  if (to.account) await chown(to.home, to.account.uid, to.account.gid)
  await database.query(`select pg_backup_start('standby', true)`)
  const options = { cwd: from.home, timeout: PATIENCE_MS, maxBuffer: 2 ** 26 }
  await run('cp', ['-a', 'password', `${to.home}/`], options)
  // cp exits with 1 when a file vanishes while it copies.
  await run('cp', ['-a', 'data', `${to.home}/`], options).catch(() => undefined)
  const { rows } = await database.query<{ labelfile: string }>(
    'select labelfile from pg_backup_stop(false)',
  )
  for (const name of ['postmaster.pid', 'postmaster.opts']) {
    await rm(join(to.data, name), { force: true })
  }
  await giveTo(to, join(to.data, 'backup_label'), rows[0]?.labelfile ?? '')
}

async function giveTo({ account }: Cluster, file: string, content: string): Promise<void> {
  await writeFile(file, content, { mode: 0o600 })
  if (account) await chown(file, account.uid, account.gid)
}

async function start(cluster: Cluster, { keepPort = true } = {}): Promise<void> {
  const options = { settings: SETTINGS, keepPort, onProgress: () => undefined, signal: undefined }
  // Processes of the crashed server may still be going away. The port stays, since the proxies know it.
  await waitFor(async () => (await startServer(cluster, options)) === 'started', {
    timeoutMs: PATIENCE_MS,
    message: 'PostgreSQL did not start again',
  })
}

/** Waits until the server has come to rest, and starts it again if it has ended. */
async function startAgain(cluster: Cluster): Promise<void> {
  const isAtRest = async () => {
    const { state } = await readPostmaster(cluster.data)
    return ['absent', 'dead', 'ready'].includes(state) || (await isFollowing(cluster))
  }
  const message = 'PostgreSQL did not come up after its disk was full'
  await waitFor(isAtRest, { timeoutMs: PATIENCE_MS, message })
  const { state } = await readPostmaster(cluster.data)
  if (state === 'absent' || state === 'dead') await start(cluster)
}

async function isFollowing(cluster: Cluster): Promise<boolean> {
  const lines = await readFile(join(cluster.data, 'postmaster.pid'), 'utf8').catch(() => '')
  return lines.split('\n')[7]?.trim() === 'standby'
}

async function stop(cluster: Cluster, mode: StopMode): Promise<void> {
  const postmaster = await readPostmaster(cluster.data)
  if (postmaster.state !== 'ready' && postmaster.state !== 'busy') return
  const { pid, port } = postmaster
  process.kill(pid, SIGNALS[mode])
  await waitFor(async () => !(await isPostmaster(pid, cluster.data, port)), {
    timeoutMs: PATIENCE_MS,
    message: `PostgreSQL did not stop (${mode})`,
  })
}

async function remove(
  clusters: readonly Cluster[],
  dataDir: string,
  isOwnDisk: boolean,
): Promise<void> {
  for (const cluster of clusters) {
    await stop(cluster, 'immediate')
    // When PostgreSQL can't enter the folder, the files are elsewhere and this is a link to them.
    if (dirname(cluster.home) !== dataDir) {
      await rm(cluster.home, { recursive: true, force: true, maxRetries: 5 })
    }
  }
  if (isOwnDisk) await run('umount', ['--lazy', dataDir])
  await rm(dataDir, { recursive: true, force: true, maxRetries: 5 })
}
