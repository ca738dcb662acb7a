import { chmod, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { readPassword } from '../../packages/db/src/embedded/connectToServer.ts'
import { openCluster, type Cluster } from '../../packages/db/src/embedded/openCluster.ts'
import { isPostmaster, readPostmaster } from '../../packages/db/src/embedded/readPostmaster.ts'
import { startServer } from '../../packages/db/src/embedded/startServer.ts'

/** A PostgreSQL of our own, made to be stopped at the worst moment. */
export interface Server {
  port: number
  /** Of a database on it, by way of the given port: the server's own or a proxy's. */
  url(database: string, port?: number): string
  /**
   * `fast` ends all sessions in order; `immediate` is a crash, which the next start recovers from.
   * Resolves when it takes connections again.
   */
  restart(mode: StopMode, downMs: number): Promise<void>
  /** Stops it and removes its data. */
  close(): Promise<void>
}

export type StopMode = 'fast' | 'immediate'

const WORKSPACE_ROOT = join(import.meta.dirname, '../..')
const PATIENCE_MS = 60_000
const SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const

// fsync is for machines that lose power; what a crashed server has handed to the kernel is safe. Commits stay
// synchronous: the suite is about what was committed.
const SETTINGS = { fsync: 'off', max_connections: '250' }

export async function openServer(): Promise<Server> {
  const dataDir = await makeDataDir()
  let cluster: Cluster | undefined
  try {
    cluster = await openCluster({
      dataDir,
      isThrowaway: true,
      onProgress: () => undefined,
      signal: undefined,
    })
    await start(cluster)
    const password = await readPassword(cluster)
    const postmaster = await readPostmaster(cluster.data)
    if (postmaster.state !== 'ready') throw new Error(`PostgreSQL is ${postmaster.state}`)
    const { port } = postmaster
    const opened = cluster
    // One at a time, and none any more once it is closed.
    let turn: Promise<void> = Promise.resolve()
    let isClosed = false
    return {
      port,
      url: (database, through = port) =>
        `postgresql://roundsman:${password}@127.0.0.1:${through}/${database}`,
      async restart(mode, downMs) {
        turn = turn.then(async () => {
          if (isClosed) return
          await stop(opened, mode)
          await pause(downMs)
          if (!isClosed) await start(opened)
        })
        await turn
      },
      async close() {
        isClosed = true
        await turn.catch(() => undefined)
        await remove(opened, dataDir)
      },
    }
  } catch (error) {
    await remove(cluster, dataDir)
    throw error
  }
}

async function makeDataDir(): Promise<string> {
  await mkdir(join(WORKSPACE_ROOT, '.data'), { recursive: true })
  const dataDir = await realpath(await mkdtemp(join(WORKSPACE_ROOT, '.data', 'chaos-')))
  // As root, PostgreSQL runs under another account, which has to get in.
  await chmod(dataDir, 0o755)
  return dataDir
}

async function start(cluster: Cluster): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  // Processes of the crashed server may still be going away. The proxies know one port: it is kept.
  for (;;) {
    const outcome = await startServer(cluster, {
      settings: SETTINGS,
      keepPort: true,
      onProgress: () => undefined,
      signal: undefined,
    })
    if (outcome === 'started') return
    if (Date.now() > deadline) throw new Error('PostgreSQL did not start again')
    await pause(50)
  }
}

async function stop(cluster: Cluster, mode: StopMode): Promise<void> {
  const postmaster = await readPostmaster(cluster.data)
  if (postmaster.state !== 'ready' && postmaster.state !== 'busy') return
  const deadline = Date.now() + PATIENCE_MS
  process.kill(postmaster.pid, SIGNALS[mode])
  while (await isPostmaster(postmaster.pid, cluster.data, postmaster.port)) {
    if (Date.now() > deadline) throw new Error(`PostgreSQL did not stop (${mode})`)
    await pause(20)
  }
}

async function remove(cluster: Cluster | undefined, dataDir: string): Promise<void> {
  if (cluster) await stop(cluster, 'immediate')
  // Below a folder that PostgreSQL can't enter, its files are elsewhere and this is a link to them.
  if (cluster && dirname(cluster.home) !== dataDir) {
    await rm(cluster.home, { recursive: true, force: true, maxRetries: 5 })
  }
  await rm(dataDir, { recursive: true, force: true, maxRetries: 5 })
}
