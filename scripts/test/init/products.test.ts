// Not quick: starts processes.
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createTestDatabase, spawnProcess } from '@roundsman/testing'
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

/** Everything that its package.json names, as an install would bring it. */
async function install(root: string): Promise<void> {
  const { dependencies, devDependencies } = await readManifest(root)
  for (const name of ['@types/node', ...Object.keys({ ...dependencies, ...devDependencies })]) {
    const target = packages.folderOf(name)
    // A framework that no file of the product imports.
    if (target !== undefined) await link(target, join(root, 'node_modules', name))
  }
}

async function prepare({ files }: TriedProduct): Promise<string> {
  const root = await writeProduct(files)
  expect(await init(root)).toMatchObject({ code: 0, stderr: '' })
  await install(root)
  return root
}

/** What a compiler has to say of it, but of what the declarations of other packages say of each other. */
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

/** Those that are started are built by the first of their compilers. */
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
      expect(await roundsman('migrate')).toMatchObject({ code: 0, stderr: [] })
      expect(await roundsman('migrate')).toMatchObject({ stdout: ['The tables are up to date.'] })
      expect(await roundsman('check')).toMatchObject({ code: 0 })
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

      // Each second rather than each minute.
      const definitions = join(root, 'src/jobs/index.ts')
      const text = await readFile(definitions, 'utf8')
      await writeFile(definitions, text.replace('* * * * *', '* * * * * *'))
      expect(await compile(root, product.compilers[0]!)).toEqual([])
      const { scripts } = await readManifest(root)
      const entry = /\S+\.js$/.exec(scripts['worker'] ?? '')?.[0] ?? ''
      const worker = spawnProcess(join(root, entry), { env, cwd: root, isBuilt: true })
      await worker.waitForLine('database measured')
      expect(await worker.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    },
    240_000,
  )
})

/** The link that it prints opens the console, and it ends when it is asked to. */
async function expectConsole(cwd: string, env: Record<string, string>): Promise<void> {
  const served = spawnProcess(packages.bin, { args: ['console'], env, cwd, isBuilt: true })
  const [opening = ''] = /http:\S+/.exec(await served.waitForLine('The console is open')) ?? []
  const { headers } = await fetch(opening, { redirect: 'manual' })
  expect(headers.get('location')).toBe('/console')
  expect(await served.kill('SIGTERM')).toEqual({ code: 0, signal: null })
}
