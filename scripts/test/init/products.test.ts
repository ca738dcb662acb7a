// Not quick: starts processes.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findFreePort } from '@roundsman/local-postgres'
import { createTestDatabase, spawnProcess, waitFor } from '@roundsman/testing'
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { init, readManifest } from '../../../packages/cli/test/init/product.ts'
import { compile, prepare } from './prepareProduct.ts'
import { PRODUCTS } from './products.ts'

const packages = inject('installed')

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
