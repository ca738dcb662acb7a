import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { access, link, readFile, readlink, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { isAlive } from './isAlive.ts'

/**
 * What `postmaster.pid` says, checked against the processes of this machine.
 *   absent   No file, no server. startServer() has PostgreSQL write one.
 *   unclear  Empty or cut off. PostgreSQL is writing it, or the machine lost power then: takeLease() removes it after 2 s.
 *   busy     PostgreSQL starts, recovers or stops. It becomes ready, absent or dead by itself.
 *   ready    PostgreSQL takes connections. stopUnusedServer() makes it busy; a crash makes it dead.
 *   dead     The file of a server that is gone (a crash, a power loss, a restarted container). takeLease() removes it.
 */
export type Postmaster =
  | { state: 'absent' }
  | { state: 'dead'; content: string }
  | { state: 'unclear'; content: string }
  | { state: 'busy' | 'ready'; port: number; pid: number }

/** Lines of postmaster.pid: 1 pid, 2 data directory, 3 start, 4 port, …, 8 status (absent at first). */
export async function readPostmaster(data: string): Promise<Postmaster> {
  const content = await readFileIfPresent(join(data, 'postmaster.pid'))
  if (content === undefined) return { state: 'absent' }
  const lines = content.split('\n')
  // PostgreSQL writes a negative pid for a server in single-user mode.
  const pid = Math.abs(Number.parseInt(lines[0] ?? '', 10))
  const port = Number.parseInt(lines[3] ?? '', 10)
  if (!(pid > 0) || !(port > 0)) return { state: 'unclear', content }
  if (!(await isPostmaster(pid, data, port))) return { state: 'dead', content }
  const status = lines[7]?.trim() ?? ''
  return { state: status === 'ready' ? 'ready' : 'busy', port, pid }
}

/**
 * Removes a left-over postmaster.pid, which PostgreSQL keeps when another process has that pid, as after a container's
 * restart. It moves the file and reads it again before: another process may have replaced it.
 */
export async function removeStalePostmasterFile(data: string, content: string): Promise<void> {
  const file = join(data, 'postmaster.pid')
  const moved = `${file}.stale-${process.pid}-${randomBytes(4).toString('hex')}`
  try {
    await rename(file, moved)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if ((await readFileIfPresent(moved)) !== content) {
    await link(moved, file).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    })
  }
  await rm(moved, { force: true })
}

/** Whether this process is the server of this data directory. */
export async function isPostmaster(pid: number, data: string, port: number): Promise<boolean> {
  if (await exists('/proc/self')) {
    try {
      // PostgreSQL's working directory is its data directory. A zombie has none.
      return (await readlink(`/proc/${pid}/cwd`)) === data
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EACCES') return false
    }
    // Root in a container without CAP_SYS_PTRACE may not read that link. Everybody may read the command line.
    const commandLine = (await readFileIfPresent(`/proc/${pid}/cmdline`)) ?? ''
    const words = commandLine.split('\0')
    return basename(words[0] ?? '') === 'postgres' && words.includes(String(port))
  }
  if (!isAlive(pid)) return false
  if (process.platform === 'win32') return true
  const { stdout } = await promisify(execFile)('ps', ['-p', String(pid), '-o', 'command=']).catch(
    () => ({ stdout: '' }),
  )
  return stdout.includes('postgres') && stdout.includes(String(port))
}

async function readFileIfPresent(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
