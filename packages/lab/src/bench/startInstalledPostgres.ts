import { chown, mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { findFreePort } from '@roundsman/local-postgres'
import { startProgram } from '../startProcess.ts'

const POLL_MS = 50

/**
 * Starts a PostgreSQL of this machine, such as Debian's in /usr/lib/postgresql/17/bin, with a new cluster and its defaults,
 * jit among them, which the embedded one lacks. When started by root, it runs as the owner of /var/lib/postgresql.
 */
export async function startInstalledPostgres(
  programs: string,
  dataDir: string,
): Promise<{ url: string; directory: string; release: () => Promise<void> }> {
  const account = await findAccount()
  const password = 'bench'
  const passwordFile = join(dataDir, 'password')
  const data = join(dataDir, 'data')
  await mkdir(data, { mode: 0o700 })
  await writeFile(passwordFile, password)
  if (account)
    for (const path of [dataDir, data, passwordFile]) await chown(path, account.uid, account.gid)
  const run = (program: string, ...args: string[]) =>
    startProgram(join(programs, program), args, { cwd: dataDir, account: account ?? undefined })
  const initdb = run(
    'initdb',
    `--pgdata=${data}`,
    '--username=bench',
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C.UTF-8',
  )
  if ((await initdb.exited).code !== 0)
    throw new Error(`initdb failed:\n${initdb.lastLines().join('\n')}`)
  const port = await findFreePort()
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'timezone=UTC',
    'logging_collector=on',
    `log_directory=${dataDir}`,
    'log_filename=postgres.log',
  ]
  const server = run(
    'postgres',
    ...['-D', data, '-p', String(port)],
    ...settings.flatMap((each) => ['-c', each]),
  )
  await server.line(/redirecting log output/)
  const isReady = async () =>
    (await run('pg_isready', '-q', '-h', '127.0.0.1', '-p', String(port)).exited).code === 0
  while (!(await isReady())) await pause(POLL_MS)
  return {
    url: `postgres://bench:${password}@127.0.0.1:${port}/postgres`,
    directory: dataDir,
    async release() {
      await server.stop()
    },
  }
}

/** PostgreSQL refuses to run as root. Debian's package creates an account for it. */
async function findAccount(): Promise<{ uid: number; gid: number } | null> {
  if (process.getuid?.() !== 0) return null
  const home = '/var/lib/postgresql'
  const { uid, gid } = await stat(home).catch(() => {
    throw new Error(
      `PostgreSQL does not run as root, and there is no ${home} whose owner it could run as`,
    )
  })
  return { uid, gid }
}
