import { open, readFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { canReach } from './canReach.ts'
import type { Cluster } from './openCluster.ts'
import { prepareBinaries } from './prepareBinaries.ts'
import { readPostmaster } from './readPostmaster.ts'
import { runProgram } from './runProgram.ts'
import { findFreePort } from './findFreePort.ts'

const LARGEST_LOG_BYTES = 10_000_000
const POLL_MS = 10

export interface StartServerOptions {
  /** Server settings of this start, as in postgresql.conf. Plain words only. */
  settings: Record<string, string>
  /** Use the port of the last start, if there was one. */
  keepPort: boolean
  onProgress: (message: string) => void
  signal: AbortSignal | undefined
}

/**
 * Starts the server of a cluster. It returns `unlucky` when another try can help: another process was faster, the port was
 * taken meanwhile, or processes of a killed server are still going away.
 * @throws Error with the end of the server's log when it cannot start
 */
export async function startServer(
  cluster: Cluster,
  options: StartServerOptions,
): Promise<'started' | 'unlucky'> {
  const { account, fallbackFolders, home } = cluster
  const { onProgress, signal } = options
  const { pgCtl } = await prepareBinaries({ account, fallbackFolders, onProgress })
  if (!(await canReach(account, home))) {
    throw new Error(
      `PostgreSQL runs as "${account?.name}", which cannot enter ${home} any more. Give it that ` +
        'permission on the folders above, or set DATABASE_URL to a server of your own.',
    )
  }
  const log = join(home, 'postgres.log')
  const logStart = await prepareLog(log)
  const port =
    (options.keepPort ? await readLastPort(cluster) : undefined) ?? (await findFreePort())
  // pg_ctl hands these to a shell: hence plain words, and paths relative to the working directory.
  const words = [`-p ${port}`, ...Object.entries(options.settings).map(toSwitch)]
  const starting = runProgram(
    pgCtl,
    ['start', '-w', '-s', '-t', '30', '-D', 'data', '-l', 'postgres.log', '-o', words.join(' ')],
    { account, cwd: home, signal },
  )
  // pg_ctl looks ten times a second, but the server is there sooner. connectAndLock() finds out whose it is.
  const result = await Promise.race([starting, untilReady(cluster, starting)])
  if (result === 'ready') return 'started'
  const { exitCode, output } = result
  if (exitCode === 0) return 'started'
  const logged = await readFrom(log, logStart)
  if (UNLUCKY.test(logged) || UNLUCKY.test(output)) return 'unlucky'
  throw new Error(
    `PostgreSQL in ${home} did not start (pg_ctl, exit code ${exitCode}): ${output}\n` +
      `The end of ${log}:\n${logged.trim().split('\n').slice(-20).join('\n')}\n` +
      'Repair what it names, move the folder away to begin with an empty database, or set DATABASE_URL.',
  )
}

/** Resolves when a server is ready, and never if pg_ctl ends first. */
async function untilReady(cluster: Cluster, starting: Promise<unknown>): Promise<'ready'> {
  const ended = starting.then(
    () => 'ended',
    () => 'ended',
  )
  while ((await Promise.race([ended, pause(POLL_MS)])) !== 'ended') {
    if ((await readPostmaster(cluster.data)).state === 'ready') return 'ready'
  }
  return new Promise(() => undefined)
}

const UNLUCKY = new RegExp(
  [
    'Address already in use',
    'could not create any TCP/IP sockets',
    'lock file "postmaster\\.pid" (?:already exists|is empty)',
    'bogus data in lock file',
    'the PID file "[^"]+" is empty',
    'invalid data in PID file',
    'pre-existing shared memory block',
    'server did not start in time',
    // It was up, and its first holder has left already.
    'received (?:fast|smart|immediate) shutdown request',
  ].join('|'),
)

function toSwitch([name, value]: [string, string]): string {
  if (!/^[a-z_.]+$/.test(name) || !/^[\w.]+$/.test(value)) {
    throw new Error(
      `The PostgreSQL setting ${name} = ${value} may only have letters, digits, dots and underscores`,
    )
  }
  return `-c ${name}=${value}`
}

/** With the same port, a URL that somebody noted stays right, and a lease can be renewed under its URL. */
async function readLastPort(cluster: Cluster): Promise<number | undefined> {
  const text = await readFile(join(cluster.data, 'postmaster.opts'), 'utf8').catch(() => '')
  const port = /"-p" "(\d+)"/.exec(text)?.[1]
  return port === undefined ? undefined : Number(port)
}

/** Returns where the next line of the log begins. */
async function prepareLog(log: string): Promise<number> {
  const size = (await stat(log).catch(() => undefined))?.size ?? 0
  if (size < LARGEST_LOG_BYTES) return size
  await rename(log, `${log}.old`).catch(() => undefined)
  return 0
}

async function readFrom(file: string, start: number): Promise<string> {
  try {
    const handle = await open(file, 'r')
    try {
      const { size } = await handle.stat()
      const from = Math.max(start, size - 20_000)
      const { buffer, bytesRead } = await handle.read({
        buffer: Buffer.alloc(Math.max(0, size - from)),
        position: from,
      })
      return buffer.toString('utf8', 0, bytesRead)
    } finally {
      await handle.close()
    }
  } catch {
    return ''
  }
}
