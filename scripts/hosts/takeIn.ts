import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { withConnection } from '@roundsman/db/admin'
import { findFreePort } from '@roundsman/local-postgres'
import { waitFor } from '@roundsman/testing'
import {
  listRuns,
  loadPage,
  lookInBrowser,
  waitForRuns,
  type ConsoleAccess,
} from './lookAtConsole.ts'
import { openHost, type Host } from './openHost.ts'
import type { Product } from './products.ts'
import { readCatalogue } from './readCatalogue.ts'
import { readSteps, type Step } from './readSteps.ts'

const ROOT = join(import.meta.dirname, '../..')
/** What docs/adopting.md promises of the pages. */
const MAX_COMMANDS = 5
const MAX_LINES = 20
/** Fails where init has written no test of the first job. */
const FIND_FIRST_TEST = `find . -name node_modules -prune -o -name 'measureDatabase.test.ts' -print | grep .`
/** What Node, Next.js and package managers say about packages that are not as they should be. */
const WARNING = /\bwarn\w*\b.*roundsman|MODULE_TYPELESS|can't be external|Module not found/i
/** How many pieces of work are enqueued right before the upgrade. */
const WAITING = 5

export interface TakeInOptions {
  product: Product
  folder: string
  databaseUrl: string
  env: NodeJS.ProcessEnv
  /** The registry that has our packages. The product's own came from elsewhere. */
  registry: Record<string, string>
  signal: AbortSignal
  say(text: string): void
}

/** What taking it in cost. */
export interface Taken {
  /** How long its commands took, except for installing packages. */
  seconds: number
  commands: number
  /** How many lines people write by hand. */
  lines: number
}

/**
 * Takes Roundsman into a product as the page for its kind says, has it run, upgrades it, and takes it out
 * again.
 */
export async function takeIn(options: TakeInOptions): Promise<Taken> {
  const { product, folder, databaseUrl, env, signal, say } = options
  const { name } = product
  const page = join(ROOT, product.page)
  const port = await findFreePort()
  const host = await openHost({
    name,
    source: join(ROOT, 'scripts/hosts/products', name),
    folder,
    env: { ...env, ...product.env, DATABASE_URL: databaseUrl, PORT: String(port) },
    signal,
  })
  const base = `http://127.0.0.1:${port}`
  const database = { url: databaseUrl, applicationName: 'roundsman hosts' }
  const steps = readSteps(await readFile(page, 'utf8')).filter(({ headings }) =>
    headings.includes(product.heading),
  )
  const adopting = steps.filter(({ language }) => language === 'sh' || language === 'diff')
  const tests = steps.filter((step) => !adopting.includes(step))
  const taken = { ...count(adopting), seconds: 0 }

  async function stage<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
    const startedAt = performance.now()
    try {
      const result = await work()
      const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
      say(`PASS  ${name.padEnd(14)} ${what.padEnd(32)} ${seconds.padStart(5)} s`)
      return result
    } catch (error) {
      say(`FAIL  ${name.padEnd(14)} ${what}`)
      const message = error instanceof Error ? error.message : String(error)
      throw new Error(`${name}, ${what}:\n${message}\n${host.output()}`, { cause: error })
    }
  }

  try {
    await stage('as it was', async () => {
      for (const command of product.prepare) await host.run(command)
      await withConnection(database, (client) => client.query(product.seed))
      await host.run(product.test)
      await host.commit('Installed')
    })
    host.setRegistry(options.registry)
    const asItWas = await readCatalogue(databaseUrl)
    const typeErrors = await listTypeErrors(host, product)

    await stage(`${taken.commands} commands, ${taken.lines} lines`, async () => {
      if (adopting.length === 0) throw new Error(`${page} has nothing under ${product.heading}`)
      if (taken.commands > MAX_COMMANDS || taken.lines > MAX_LINES) {
        throw new Error(`More than ${MAX_COMMANDS} commands or ${MAX_LINES} lines by hand`)
      }
      for (const step of adopting) taken.seconds += await take(step, host)
      host.start(product.start)
    })
    const access = await stage('log-in', () => openAccess(base, product))
    const runs = await stage('an enqueued and a scheduled run', async () => {
      await act(base, product, 1, access)
      return await waitForRuns(access, ['queue', 'schedule'])
    })
    await stage('console', async () => {
      await loadPage(access)
      await lookInBrowser(access)
      await refuseOthers(access, base, product)
    })
    await stage('no warning of ours', async () => {
      const ours = host
        .output()
        .split('\n')
        .filter((line) => WARNING.test(line))
      if (ours.length > 0) throw new Error(ours.join('\n'))
    })
    await stage('types', async () => {
      const errors = await listTypeErrors(host, product)
      const added = errors.filter((error) => !typeErrors.includes(error))
      if (added.length > 0) throw new Error(added.join('\n'))
    })
    await stage('its tests', async () => {
      for (const step of tests) await take(step, host)
      if (tests.length === 0) await host.run(FIND_FIRST_TEST)
      await host.run(product.test)
    })
    await stage('migrate --check', () => host.run(`${product.cli} migrate --check`))

    await stage('upgrade', async () => {
      // Some of this work waits or runs when all is stopped.
      for (let n = 2; n < 2 + WAITING; n++) await act(base, product, n, access)
      await host.stop()
      await host.run(product.update)
      await host.run(`${product.cli} migrate`)
      await host.run(`${product.cli} migrate --check`)
      for (const step of adopting) if (step.note === 'background') await take(step, host)
      host.start(product.start)
      const again = await openAccess(base, product)
      const kept = (await listRuns(again)).map(({ id }) => id)
      const lost = runs.filter(({ id }) => !kept.includes(id))
      if (lost.length > 0) throw new Error(`Runs are gone: ${JSON.stringify(lost)}`)
      await act(base, product, 2 + WAITING, again)
      await waitFor(async () => (await countEnqueued(again)) > countOf(runs) + WAITING, {
        timeoutMs: 60_000,
        message: 'Runs of all that was enqueued before and after the upgrade',
      })
    })

    for (const { what, page: written, build, start, after } of product.production ?? []) {
      await stage(`production: ${what}`, async () => {
        await host.stop()
        const files = written ? readSteps(await readFile(join(ROOT, written), 'utf8')) : []
        for (const step of files) await take(step, host)
        for (const command of build) await host.run(command)
        for (const command of start) host.start(command)
        const there = await openAccess(base, product)
        const before = await countEnqueued(there)
        await act(base, product, 50, there)
        await waitFor(async () => (await countEnqueued(there)) > before, {
          timeoutMs: 60_000,
          message: 'A run of what was enqueued',
        })
        await loadPage(there)
        await lookInBrowser(there)
        await refuseOthers(there, base, product)
        await host.stop()
        await host.run(after)
      })
    }

    await stage('removal', async () => {
      await host.stop()
      const sql = await host.run(`${product.cli} uninstall --sql`)
      await withConnection(database, (client) => client.query(sql))
      await host.run('git checkout --quiet -- . && git clean --quiet --force -d')
      const left = difference(asItWas, await readCatalogue(databaseUrl))
      if (left.length > 0) throw new Error(left.join('\n'))
    })
    return taken
  } finally {
    await host.stop()
  }
}

/** Counts the commands and the lines that the page has people write. */
function count(steps: readonly Step[]): Omit<Taken, 'seconds'> {
  const commands = steps
    .filter(({ language }) => language === 'sh')
    .flatMap(linesOf)
    .flatMap((line) => line.split('&&'))
  const patches = steps.filter(({ language }) => language === 'diff').flatMap(linesOf)
  return {
    commands: commands.length,
    lines: patches.filter((line) => line.startsWith('+') && !line.startsWith('+++')).length,
  }
}

function linesOf({ text }: Step): string[] {
  return text.split('\n').filter((line) => line !== '')
}

/**
 * Does what a block of the page says: applies a patch, runs commands, or writes a file.
 * @returns the seconds that its commands took, except for installing packages
 */
async function take({ line, language, note, text }: Step, host: Host): Promise<number> {
  let tookMs = 0
  if (language === 'diff') await host.applyPatch(text)
  else if (language === 'sh' && note === 'background') host.start(text.trim())
  else if (language === 'sh') {
    for (const command of text.trim().split('\n')) {
      const startedAt = performance.now()
      await host.run(command)
      if (!/\binstall\b/.test(command)) tookMs += performance.now() - startedAt
    }
  } else if (note !== '') {
    await mkdir(dirname(join(host.root, note)), { recursive: true })
    await writeFile(join(host.root, note), text)
  } else throw new Error(`Line ${line}: nobody knows what to do with a block of ${language}`)
  return tookMs / 1_000
}

/** Lists type errors, also in the declarations of its packages: some ORMs have some there in any case. */
async function listTypeErrors(host: Host, product: Product): Promise<string[]> {
  const output = await host.run(`${product.check} || true`)
  return output.split('\n').filter((line) => line.includes('error TS'))
}

/** Logs in as the product's admin. */
async function openAccess(base: string, { logIn }: Product): Promise<ConsoleAccess> {
  const headers = await waitFor(() => logInAs(base, logIn.path, logIn.admin), {
    timeoutMs: 60_000,
    message: 'The log-in of an admin',
  })
  return { page: `${base}${logIn.console}`, api: `${base}${logIn.api}`, headers }
}

async function logInAs(base: string, path: string, body: object): Promise<Record<string, string>> {
  const response = await post(`${base}${path}`, body)
  const cookies = response.headers.getSetCookie().map((cookie) => cookie.split(';')[0])
  return { cookie: cookies.join('; ') }
}

async function post(
  url: string,
  body: object,
  session: Record<string, string> = {},
): Promise<Response> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...session },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`)
  return response
}

/** Sends the product the request upon which it enqueues work. */
async function act(
  base: string,
  { act: { path, body } }: Product,
  n: number,
  { headers }: ConsoleAccess,
): Promise<void> {
  await post(`${base}${path}`, body(n), headers)
}

/** Fails when the admin API answers somebody without a session, or a user who is no admin. */
async function refuseOthers({ api, page }: ConsoleAccess, base: string, { logIn }: Product) {
  const others = [{}, await logInAs(base, logIn.path, logIn.other)]
  for (const headers of others) {
    const { status } = await fetch(`${api}/jobs/runs`, { headers })
    if (status !== 401 && status !== 403) throw new Error(`${page}: ${status} for who is no admin`)
  }
}

/** Counts runs of enqueued work that succeeded. */
function countOf(runs: readonly { trigger: string; status: string }[]): number {
  return runs.filter(({ trigger, status }) => trigger === 'queue' && status === 'success').length
}

async function countEnqueued(access: ConsoleAccess): Promise<number> {
  return countOf(await listRuns(access))
}

/** What was left behind and what was lost. Numbers of rows may differ: the product went on. */
function difference(before: readonly string[], after: readonly string[]): string[] {
  const isOfInterest = (line: string) => !line.startsWith('rows of')
  return [
    ...after.filter((line) => !before.includes(line)).map((line) => `left behind: ${line}`),
    ...before.filter((line) => !after.includes(line)).map((line) => `lost: ${line}`),
  ].filter((line) => isOfInterest(line.replace(/^[a-z ]+: /, '')))
}
