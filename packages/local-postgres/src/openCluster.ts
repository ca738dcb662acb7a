import { createHash, randomBytes } from 'node:crypto'
import {
  lchown,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { canReach } from './canReach.ts'
import { ensureOwnFolder } from './ensureOwnFolder.ts'
import { prepareBinaries } from './prepareBinaries.ts'
import { removeLeftovers } from './removeLeftovers.ts'
import { resolveAccount, type Account } from './resolveAccount.ts'
import { runProgram } from './runProgram.ts'

const SETTINGS = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'max_connections=100',
  'timezone=UTC',
  'log_timezone=UTC',
  'log_checkpoints=off',
]

export interface Cluster {
  /** The real path of the folder with `data/`, `password` and `postgres.log`. */
  home: string
  /** PostgreSQL's data directory. */
  data: string
  /** The account that runs the server. Undefined: the account of this process. */
  account: Account | undefined
  /** Where prepareBinaries may copy the programs to. */
  fallbackFolders: string[]
}

export interface OpenClusterOptions {
  dataDir: string
  /** The new cluster need not survive a power loss. */
  isThrowaway: boolean
  onProgress: (message: string) => void
  signal: AbortSignal | undefined
}

/**
 * Finds the cluster of a data folder, or makes it. When several processes make one, an atomic rename (or symlink) decides
 * which wins, and the others remove theirs. Nobody ever finds a half-made cluster.
 */
export async function openCluster(options: OpenClusterOptions): Promise<Cluster> {
  const dataDir = resolve(options.dataDir)
  await mkdir(dataDir, { recursive: true }).catch((cause: unknown) => {
    const { message } = cause as Error
    throw new Error(
      `The folder ${dataDir} cannot be made (${message}). Set DATA_DIR to a folder of yours, or set DATABASE_URL ` +
        'to a server of your own.',
      { cause },
    )
  })
  const name = join(dataDir, 'postgres')
  const fallbackFolders = await listFallbackFolders(dataDir)
  await removeLeftovers(dataDir)

  const existing = await findCluster(name, fallbackFolders)
  if (existing !== undefined) return existing

  const account = await resolveAccount()
  const lost = await readlink(name).catch(() => undefined)
  if (lost !== undefined) {
    options.onProgress(`${name} leads to ${lost}, which is gone: creating a new database there`)
    if (fallbackFolders.includes(dirname(lost))) await ensureOwnFolder(dirname(lost))
    else await mkdir(dirname(lost), { recursive: true })
    await makeCluster(lost, account, fallbackFolders, options)
  } else if (await canReach(account, dataDir)) {
    await makeCluster(name, account, fallbackFolders, options)
  } else {
    const folder = await chooseFallbackFolder(dataDir, account, fallbackFolders)
    options.onProgress(
      `PostgreSQL must not run as root, and its account "${account?.name}" cannot enter ${dataDir}: ` +
        `the database is kept in ${folder}`,
    )
    await removeLeftovers(folder)
    // A random name: when somebody deletes DATA_DIR, its old database must not come back.
    const home = join(folder, `postgres-${randomBytes(4).toString('hex')}`)
    await makeCluster(home, account, fallbackFolders, options)
    await symlink(home, name).catch(async (error: unknown) => {
      await rm(home, { recursive: true, force: true })
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    })
  }
  const made = await findCluster(name, fallbackFolders)
  if (made === undefined)
    throw new Error(
      `${name} was removed by another program while the database was created; start again`,
    )
  return made
}

async function findCluster(name: string, fallbackFolders: string[]): Promise<Cluster | undefined> {
  try {
    const home = await realpath(name)
    const data = join(home, 'data')
    await stat(join(data, 'PG_VERSION'))
    const owner = await stat(data)
    const account = await resolveAccount(owner)
    // A copy that root made belongs to root, which PostgreSQL refuses to run as.
    if (account !== undefined && owner.uid === 0) await chownAll(home, account)
    if (process.getuid && account === undefined && owner.uid !== process.getuid())
      throw foreign(name)
    return { home, data, account, fallbackFolders }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EACCES') throw foreign(name)
    if (code !== 'ENOENT') throw error
  }
  const found = await lstat(name).catch(() => undefined)
  if (found?.isDirectory() && (await readdir(name)).length > 0) {
    throw new Error(
      `${name} is there but holds no database. Move it away, set DATA_DIR to another folder, or set ` +
        'DATABASE_URL to a server of your own.',
    )
  }
  return undefined
}

function foreign(name: string): Error {
  return new Error(
    `The database in ${name} belongs to another account. Start as that account or as root, set DATA_DIR ` +
      'to a folder of your own, or set DATABASE_URL.',
  )
}

async function makeCluster(
  home: string,
  account: Account | undefined,
  fallbackFolders: string[],
  { isThrowaway, onProgress, signal }: OpenClusterOptions,
): Promise<void> {
  const { initdb } = await prepareBinaries({ account, fallbackFolders, onProgress })
  onProgress(`Making a PostgreSQL database in ${home}`)
  const parent = dirname(home)
  const draft = join(parent, `postgres.init-${process.pid}-${randomBytes(4).toString('hex')}`)
  try {
    await mkdir(draft, { mode: 0o700 })
    const password = join(draft, 'password')
    await writeDurably(password, randomBytes(24).toString('hex'))
    if (account !== undefined) await chownAll(draft, account)
    const data = join(draft, 'data')
    const { exitCode, output } = await runProgram(
      initdb,
      [
        `--pgdata=${data}`,
        '--username=roundsman',
        `--pwfile=${password}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--no-instructions',
        // The password is random and lives for minutes: thousands of rounds at each connection would make nothing safer.
        ...(isThrowaway ? ['--no-sync', '--no-data-checksums', '-c', 'scram_iterations=1'] : []),
        ...SETTINGS.flatMap((setting) => ['-c', setting]),
      ],
      { account, cwd: draft, signal },
    )
    if (exitCode !== 0) {
      throw new Error(
        `PostgreSQL could not make a database in ${home} (initdb, exit code ${exitCode}):\n${output}\n` +
          'Set DATA_DIR to a folder on a local disk with free space, or set DATABASE_URL to a server of ' +
          'your own.',
      )
    }
    await publish(draft, home)
    await syncFolder(parent)
  } finally {
    // A program that was aborted a moment ago may still write there.
    await rm(draft, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}

async function publish(draft: string, home: string): Promise<void> {
  try {
    await rename(draft, home)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Another process was faster, and its cluster is used. Windows says EPERM.
    if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOTDIR') return
    if (code === 'EPERM' && (await stat(home).catch(() => undefined))) return
    throw error
  }
}

async function listFallbackFolders(dataDir: string): Promise<string[]> {
  const hash = createHash('sha256')
    .update(await realpath(dataDir))
    .digest('hex')
    .slice(0, 16)
  const temporary = join(tmpdir(), `roundsman-${process.getuid?.() ?? 0}-${hash}`)
  return process.getuid?.() === 0 ? [join('/var/lib/roundsman', hash), temporary] : [temporary]
}

async function chooseFallbackFolder(
  dataDir: string,
  account: Account | undefined,
  folders: string[],
): Promise<string> {
  for (const folder of folders) {
    const isMade = await ensureOwnFolder(folder).then(
      () => true,
      () => false,
    )
    if (isMade && (await canReach(account, folder))) return folder
  }
  throw new Error(
    `PostgreSQL must not run as root, its account "${account?.name}" cannot enter ${dataDir}, and no ` +
      `other place is usable (${folders.join(', ')}). Set DATA_DIR to a folder that it can enter, start ` +
      'as an ordinary user, or set DATABASE_URL.',
  )
}

async function chownAll(path: string, account: Account): Promise<void> {
  await lchown(path, account.uid, account.gid)
  if (!(await lstat(path)).isDirectory()) return
  for (const entry of await readdir(path)) await chownAll(join(path, entry), account)
}

async function writeDurably(file: string, content: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes the rename survive a power loss. Windows cannot open a folder, and needs no such call. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export async function readPassword(cluster: Cluster): Promise<string> {
  const file = join(cluster.home, 'password')
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Error(
      `The password of the database in ${cluster.home} cannot be read (${(cause as Error).message}). Move that ` +
        'folder away to begin with an empty database, or set DATABASE_URL to a server of your own.',
      { cause },
    )
  })
}
