// Not quick: starts processes.
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findFreePort } from '@roundsman/local-postgres'
import { createTestDatabase, spawnProcess, waitFor } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { init, readManifest, writeProduct } from '../../../packages/cli/test/init/product.ts'
import { WORKSPACE_ROOT } from '../stack.ts'
import { installPacked, link, type InstalledPackages } from './installPacked.ts'
import { PRODUCTS, type TriedProduct } from './products.ts'

const COMPILERS = {
  5: join(WORKSPACE_ROOT, 'node_modules/typescript-5.8/lib/tsc.js'),
  7: join(WORKSPACE_ROOT, 'node_modules/typescript/bin/tsc'),
}

let packages: InstalledPackages
beforeAll(async () => {
  packages = await installPacked()
})
afterAll(() => packages.close())

/** Links all that its package.json names, as an install would bring it. */
async function install(root: string): Promise<void> {
  const { dependencies, devDependencies } = await readManifest(root)
  for (const name of ['@types/node', ...Object.keys({ ...dependencies, ...devDependencies })]) {
    const target = packages.folderOf(name)
    // Undefined is a framework that no file of the product imports.
    if (target !== undefined) await link(target, join(root, 'node_modules', name))
  }
}

async function prepare({ files, server }: TriedProduct): Promise<string> {
  const root = await writeProduct(files)
  const { code, stdout, stderr } = await init(root)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  await install(root)
  if ('prisma/schema.prisma' in files) await generateClient(root)
  if (server) await writeFile(join(root, 'src/server.ts'), server(readPluginLines(stdout)))
  return root
}

/** Generates the Prisma client. Prisma would look for an engine that `generate` never calls, and download it. */
async function generateClient(root: string): Promise<void> {
  const cli = createRequire(join(WORKSPACE_ROOT, 'packages/db/package.json')).resolve(
    'prisma/build/index.js',
  )
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath }
  await promisify(execFile)(process.execPath, [cli, 'generate'], { cwd: root, env })
}

/** Reads the lines that init tells people to add to their server: imports, an empty line, and the rest. */
function readPluginLines(stdout: string): { imported: string; registered: string } {
  const [, block = ''] = /add to it:\n\n((?: {2}.*\n|\n)+?)\nIt is then at/.exec(stdout) ?? []
  const [imported = '', ...rest] = block.replaceAll(/^ {2}/gm, '').split('\n\n')
  expect(imported).toContain('import ')
  return { imported, registered: rest.join('\n\n') }
}

/** The compiler's complaints about the product, without those about how foreign declarations fit each other. */
async function compile(root: string, compiler: 5 | 7, ...args: string[]): Promise<string[]> {
  const run = promisify(execFile)(
    process.execPath,
    [COMPILERS[compiler], '--pretty', 'false', ...args],
    {
      cwd: root,
    },
  )
  const { stdout } = await run.catch((error: unknown) => error as { stdout: string })
  const isOfOthers = (line: string) =>
    /node_modules\/(?!@?roundsman)/.test(line) || /^\s/.test(line)
  return stdout.split('\n').filter((line) => line !== '' && !isOfOthers(line))
}

/** Each product with each of its compilers. The first of them builds the products that are started. */
const cases = PRODUCTS.flatMap((product) =>
  product.compilers
    .slice(product.runs === 'worker' ? 1 : 0)
    .map((compiler) => ({ ...product, compiler })),
)

describe('what init writes compiles as it stands', () => {
  it.each(cases)('$name, TypeScript $compiler', async (product) => {
    const root = await prepare(product)

    expect(await compile(root, product.compiler, '--noEmit')).toEqual([])
    expect(await init(root)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Nothing to do/),
    })
  })
})

describe('what init writes runs', () => {
  it.each(PRODUCTS.filter(({ runs }) => runs !== null))(
    '$name',
    async (product) => {
      const root = await prepare(product)
      const database = await createTestDatabase({ migrated: false })
      onTestFinished(database.drop)
      const env = { DATABASE_URL: database.url, NO_COLOR: '1' }
      const roundsman = async (...args: string[]) => {
        const child = spawnProcess(packages.bin, { args, env, cwd: root, isBuilt: true })
        const { code } = await child.exited
        return { code, stdout: child.stdout, stderr: child.stderr }
      }

      expect(await roundsman('check')).toMatchObject({
        code: 1,
        stdout: expect.arrayContaining([expect.stringContaining('database_unusable')]),
      })
      const made = ['The tables are made, in the schema roundsman.']
      expect(await roundsman('migrate')).toMatchObject({ code: 0, stdout: made, stderr: [] })
      expect(await roundsman('migrate')).toMatchObject({ stdout: ['The tables are up to date.'] })
      const { code, stdout: checked } = await roundsman('check', '--json')
      expect({ code, findings: JSON.parse(checked[0]!).findings }).toEqual({
        code: 0,
        findings: [],
      })
      const listed = await roundsman('list', '--json')
      expect(JSON.parse(listed.stdout[0]!)).toMatchObject({
        jobs: [{ name: 'measureDatabase' }, { name: 'pruneJobRuns' }],
        database: { isReached: true },
      })
      const once = await roundsman('once', 'measureDatabase', '--json')
      expect(once, once.stderr.join('\n')).toMatchObject({ code: 0 })
      expect(JSON.parse(once.stdout[0]!)).toMatchObject({
        status: 'success',
        details: { megabytes: expect.any(Number), batches: 1 },
      })
      if (product.runs !== 'worker') return await expectConsole(root, env)

      expect(await init(root)).toMatchObject({ stdout: expect.stringMatching(/^Nothing to do/) })
      expect(await roundsman('new', 'sendReminders', '--schedule', '0 4 * * *')).toMatchObject({
        code: 0,
        stderr: [],
      })
      const failed = await roundsman('once', 'sendReminders')
      expect(failed.code).toBe(1)
      expect(failed.stdout.join('')).toContain('sendReminders is still to be written')

      // Due each second instead of each minute, so that the test need not wait.
      const definitions = join(root, 'src/jobs/index.ts')
      const text = await readFile(definitions, 'utf8')
      await writeFile(definitions, text.replace('* * * * *', '* * * * * *'))
      expect(await compile(root, product.compilers[0]!)).toEqual([])
      const { scripts } = await readManifest(root)
      const entry = /\S+\.js$/.exec(scripts['worker'] ?? '')?.[0] ?? ''
      const worker = spawnProcess(join(root, entry), { env, cwd: root, isBuilt: true })
      await worker.waitForLine('database measured')
      expect(await worker.kill('SIGTERM')).toEqual({ code: 0, signal: null })
      if (product.server) await expectServer(root, env)
    },
    240_000,
  )
})

/** Expects the product's server to serve its own pages as before, and the console to whom its log-in lets in. */
async function expectServer(cwd: string, env: Record<string, string>): Promise<void> {
  const port = await findFreePort()
  const server = spawnProcess(join(cwd, 'dist/server.js'), {
    env: { ...env, PORT: String(port) },
    cwd,
    isBuilt: true,
  })
  const base = `http://127.0.0.1:${port}`
  const ask = (path: string, options: RequestInit = {}) =>
    fetch(`${base}${path}`, { headers: { 'x-user': 'ada' }, ...options })
  await waitFor(
    () =>
      ask('/own').then(
        ({ ok }) => ok,
        () => false,
      ),
    {
      timeoutMs: 60_000,
      message: 'the server',
    },
  )
  // The console's address, and what the addresses of its API begin with.
  const [page, at] =
    (await ask('/console')).status === 200 ? ['/console', ''] : ['/admin/jobs', '/admin/jobs']
  expect((await ask(`${at}/api/jobs`, { headers: {} })).status).toBe(401)
  expect(await (await ask(`${at}/api/jobs`)).json()).toMatchObject({
    jobs: expect.arrayContaining([expect.objectContaining({ name: 'measureDatabase' })]),
  })
  const requested = await ask(`${at}/api/jobs/measureDatabase/run`, {
    method: 'POST',
    headers: { 'x-user': 'ada', 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'a look' }),
  })
  expect(requested.status, await requested.text()).toBe(202)
  expect(await (await ask(page)).text()).toContain('<script')
  await server.kill('SIGTERM')
}

/** Expects that the printed link opens the console, and that the command ends when it is asked to. */
async function expectConsole(cwd: string, env: Record<string, string>): Promise<void> {
  const served = spawnProcess(packages.bin, { args: ['console'], env, cwd, isBuilt: true })
  const [opening = ''] = /http:\S+/.exec(await served.waitForLine('The console is open')) ?? []
  const { headers } = await fetch(opening, { redirect: 'manual' })
  expect(headers.get('location')).toBe('/console')
  expect(await served.kill('SIGTERM')).toEqual({ code: 0, signal: null })
}
