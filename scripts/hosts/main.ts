// `pnpm test:hosts`: serves all packages by a registry on loopback, and takes them into products outside this repository.
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { withConnection } from '@roundsman/db/admin'
import { makeServerFolder, NOT_DURABLE, openThrowawayPostgres } from '@roundsman/testing'
import { foreignEnvironment } from './foreignEnvironment.ts'
import { PRODUCTS, type Product } from './products.ts'
import { startRegistry } from './startRegistry.ts'
import { takeIn } from './takeIn.ts'

const USAGE = `Usage: pnpm test:hosts [product…] [--keep]

Serves the packages by a registry on loopback, and takes them into these products outside of
the repository by what docs/frameworks/fastify.md and docs/recipes/nextjs.md say, counting
commands and lines:

${PRODUCTS.map(({ name, kind }) => `  ${name.padEnd(10)} ${kind}`).join('\n')}

  --keep  leaves the folder that it worked in

Exit code: 0 all are as promised, 1 one is not, 2 usage`

/** The documents promise less. */
const TIMEOUT_MS = 15 * 60_000
process.exitCode = await main()

async function main(): Promise<number> {
  const arguments_ = readArguments()
  if (arguments_ === null) {
    process.stderr.write(`${USAGE}\n`)
    return 2
  }
  const { products, isKept } = arguments_
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => stop.abort(new Error(`Stopped by ${name}`)))
  }
  const late = new Error(`Stopped after ${TIMEOUT_MS / 60_000} minutes`)
  setTimeout(() => stop.abort(late), TIMEOUT_MS).unref()
  const { signal } = stop
  const startedAt = performance.now()
  const folder = await makeServerFolder('roundsman-hosts-', tmpdir())
  try {
    const failures = await takeInAll(products, folder, signal)
    for (const failure of failures) process.stderr.write(`\n${failure}\n`)
    const seconds = Math.round((performance.now() - startedAt) / 1_000)
    say(
      `${failures.length === 0 ? 'All' : 'Not all'} of ${products.length} products in ${seconds} s`,
    )
    return failures.length === 0 ? 0 : 1
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  } finally {
    if (isKept) say(`Left in ${folder}`)
    else await rm(folder, { recursive: true, force: true })
  }
}

function readArguments(): { products: readonly Product[]; isKept: boolean } | null {
  try {
    const options = { keep: { type: 'boolean', default: false } } as const
    const { values, positionals } = parseArgs({ options, allowPositionals: true })
    const names = positionals.length > 0 ? positionals : PRODUCTS.map(({ name }) => name)
    const products = names.map((wanted) => PRODUCTS.find(({ name }) => name === wanted))
    if (products.includes(undefined)) return null
    return { products: products.filter((one) => one !== undefined), isKept: values.keep }
  } catch {
    return null
  }
}

/** Takes the packages into each product, and resolves to what went wrong, product by product. */
async function takeInAll(
  products: readonly Product[],
  folder: string,
  signal: AbortSignal,
): Promise<string[]> {
  const registry = await startRegistry(folder, signal)
  try {
    const env = foreignEnvironment()
    const dataDir = join(folder, 'postgres')
    const postgres = await openThrowawayPostgres({ dataDir, settings: NOT_DURABLE, signal })
    try {
      // All before the first product: a role belongs to the whole server, and would show in another's catalogue.
      const urls = new Map<Product, string>()
      for (const one of products) urls.set(one, await createDatabase(postgres.url, one.name))
      const taking = products.map(async (product) => {
        const databaseUrl = urls.get(product) ?? ''
        const own = { product, databaseUrl, registry: registry.env }
        return { product, taken: await takeIn({ ...own, folder, env, signal, say }) }
      })
      const failures: string[] = []
      for (const outcome of await Promise.allSettled(taking)) {
        if (outcome.status === 'rejected') failures.push(String(outcome.reason))
        else {
          const { product, taken } = outcome.value
          const took = `${taken.seconds.toFixed(1)} s without install`
          say(`${product.name}: ${taken.commands} commands, ${taken.lines} lines by hand, ${took}`)
        }
      }
      return failures
    } finally {
      await postgres.release()
    }
  } finally {
    await registry.close()
  }
}

/** Creates a database that belongs to a role without superuser rights, as on a managed server. */
async function createDatabase(adminUrl: string, name: string): Promise<string> {
  const password = randomBytes(12).toString('hex')
  await withConnection({ url: adminUrl, applicationName: 'roundsman hosts' }, async (client) => {
    await client.query(`create role ${name} login password '${password}'`)
    await client.query(`create database ${name} owner ${name}`)
  })
  const url = new URL(adminUrl)
  Object.assign(url, { username: name, password, pathname: `/${name}` })
  return url.href
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
