// Processes: builds a deployment as Replit does, and runs its API and worker.
import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, mkdir, mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { createTestDatabase, waitFor } from '@roundsman/testing'
import { parse } from 'smol-toml'
import { describe, expect, onTestFinished, test } from 'vitest'
import { LIMIT_MB } from '../check/checkProductionSize.ts'
import { listFiles } from '../check/listFiles.ts'
import { listDescendants, stillRunning } from './processes.ts'
import { WORKSPACE_ROOT } from './stack.ts'

/** What we read of `.replit`. */
interface Replit {
  modules: string[]
  deployment: { build: string[]; run: string[] }
  ports: { localPort: number }[]
}

describe('.replit', { timeout: 600_000 }, () => {
  test('builds a fresh clone, migrates it, runs it in production, and SIGTERM leaves nothing', async () => {
    const text = await readFile(join(WORKSPACE_ROOT, '.replit'), 'utf8')
    const { modules, deployment, ports } = parse(text) as unknown as Replit
    const [major] = process.versions.node.split('.')
    expect(modules, 'the Node that runs this test').toContain(`nodejs-${major}`)
    const cwd = await cloneWorkspace()
    const database = await createTestDatabase({ migrated: false })
    onTestFinished(() => database.drop())
    const env = { ...machineEnvironment(), DATABASE_URL: database.url, JWT_SECRET: makeSecret() }

    const build = startCommand(deployment.build, { cwd, env })
    expect(await build.exited, build.output()).toEqual({ code: 0, signal: null })
    const [, size] = /^Installed for production: (\d+) MB\./m.exec(build.output()) ?? []
    expect(Number(size), 'megabytes that are really installed').toBeLessThanOrEqual(LIMIT_MB)

    for (const { localPort } of ports) {
      // Word for word, so these are the ports. Another copy of this test may have them for a while.
      await waitFor(async () => (await look(localPort)) === undefined, {
        timeoutMs: 180_000,
        message: `Port ${localPort}, which .replit names, is free`,
      })
    }
    const run = startCommand(deployment.run, { cwd, env })
    for (const { localPort } of ports) {
      await waitFor(async () => run.hasEnded() || (await look(localPort)) === 200, {
        timeoutMs: 120_000,
        message: `Port ${localPort} is ready`,
      })
      expect(run.hasEnded(), run.output()).toBe(false)
    }
    const pids = [run.pid, ...(await listDescendants(run.pid))]
    expect(pids.length, 'the launcher, API and worker').toBeGreaterThanOrEqual(3)

    process.kill(run.pid, 'SIGTERM')
    await run.exited
    expect(await stillRunning(pids)).toEqual([])
    expect(run.output()).toMatch(/\[worker\] .*draining/)
    for (const { localPort } of ports) expect(await look(localPort)).toBeUndefined()
  })
})

test('a Node that is too old for a deployment is told so, and which one is needed', async () => {
  const version = (node: string) =>
    `data:text/javascript,Object.defineProperty(process,"versions",{value:{node:"${node}"}})`
  const check = (node: string) =>
    promisify(execFile)(process.execPath, [
      `--import=${version(node)}`,
      join(WORKSPACE_ROOT, 'scripts/production/checkNode.mjs'),
    ])
  await expect(check('20.20.2')).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^Node 20\.20\.2 is too old: .* Node 24 .*PATH/),
  })
  await expect(check('24.0.0')).resolves.toEqual({ stdout: '', stderr: '' })
  await expect(check('26.1.0')).resolves.toEqual({ stdout: '', stderr: '' })
})

/** Clones this repository, with what is changed and not committed, into a folder that is gone when the test ends. */
async function cloneWorkspace(): Promise<string> {
  const clone = await realpath(await mkdtemp(join(tmpdir(), 'roundsman-replit-')))
  onTestFinished(() => rm(clone, { recursive: true, force: true }))
  await promisify(execFile)('git', ['clone', '--quiet', WORKSPACE_ROOT, clone])
  const files = await listFiles(WORKSPACE_ROOT)
  for (const path of await listFiles(clone)) if (!files.includes(path)) await rm(join(clone, path))
  for (const path of files) {
    await mkdir(join(clone, dirname(path)), { recursive: true })
    await cp(join(WORKSPACE_ROOT, path), join(clone, path))
  }
  return clone
}

/** A machine's own variables, and its PATH with this Node before all others, as Replit's module puts it there. */
function machineEnvironment(): NodeJS.ProcessEnv {
  const own = /^(HOME|LANG|TMPDIR|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|\w+_proxy)$/i
  const variables = Object.entries(process.env).filter(([name]) => own.test(name))
  const path = (process.env['PATH'] ?? '').split(delimiter)
  const folders = path.filter((folder) => !folder.endsWith(join('node_modules', '.bin')))
  return {
    ...Object.fromEntries(variables),
    PATH: [dirname(process.execPath), ...folders].join(delimiter),
  }
}

function makeSecret(): string {
  return randomBytes(32).toString('base64url')
}

/** Starts a command of `.replit`, which nobody can answer. All that it started is killed when the test ends. */
function startCommand(
  [program = '', ...args]: string[],
  { cwd, env }: { cwd: string; env: NodeJS.ProcessEnv },
) {
  const child = spawn(program, args, {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let output = ''
  let ended = false
  child.stdout.on('data', (part: Buffer) => (output += part.toString()))
  child.stderr.on('data', (part: Buffer) => (output += part.toString()))
  const exited = new Promise((resolve) => {
    child.once('close', (code, signal) => {
      ended = true
      resolve({ code, signal })
    })
  })
  const pid = child.pid as number
  onTestFinished(async () => {
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // All of it has ended.
    }
    await exited
  })
  return { pid, exited, output: () => output, hasEnded: () => ended }
}

/** The status with which a port says whether it is ready; undefined where nobody listens. */
async function look(port: number): Promise<number | undefined> {
  const response = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined)
  await response?.body?.cancel()
  return response?.status
}
