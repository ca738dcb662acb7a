import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import { captureTool } from '../check/runTool.ts'
import type { PackedPackage } from './packPublished.ts'

/** How products are set up, with the oldest and the newest TypeScript that has each setting. */
const SETUPS = [
  { moduleResolution: 'nodenext', module: 'nodenext', compilers: ['tsc-5.8', 'tsc'] },
  { moduleResolution: 'bundler', module: 'esnext', compilers: ['tsc-5.8', 'tsc'] },
  // TypeScript 7 dropped it.
  { moduleResolution: 'node10', module: 'commonjs', compilers: ['tsc-5.8'] },
] as const

/** The oldest compiler that allows `require` of an ES module, and this workspace's own. */
const COMPILERS = { 'tsc-5.8': 'typescript-5.8/lib/tsc.js', tsc: 'typescript/bin/tsc' }

/**
 * Installs the packed packages into an empty product, without network, and uses each entry as products do: compiled
 * with the types of libraries checked, imported, required from CommonJS, and bundled.
 */
export async function checkConsumers(
  root: string,
  packed: readonly PackedPackage[],
  nodes: readonly string[] = [process.execPath],
): Promise<string[]> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'roundsman-consumer-')))
  try {
    await install(root, folder, packed)
    const entries = packed.flatMap(entriesOf)
    return [
      ...(await compile(root, folder, entries)),
      ...(await load(folder, entries, nodes)),
      ...(await bundle(folder)),
    ]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function entriesOf({ name, manifest }: PackedPackage): string[] {
  return Object.entries(manifest.exports)
    .filter(([, target]) => typeof target === 'object')
    .map(([entry]) => name + entry.slice(1))
}

/** Writes each package's files, and links to what it depends on, as this workspace has it installed. */
async function install(
  root: string,
  folder: string,
  packed: readonly PackedPackage[],
): Promise<void> {
  const linked = new Set<string>()
  const link = async (name: string, target: string) => {
    const path = join(folder, 'node_modules', name)
    await mkdir(dirname(path), { recursive: true })
    // Two of our packages may depend on the same one.
    if (!linked.has(name)) await symlink(target, path)
    linked.add(name)
  }
  for (const one of packed) {
    for (const [path, text] of one.files) {
      const file = join(folder, 'node_modules', one.name, path)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, text)
    }
  }
  const ours = new Set(packed.map(({ name }) => name))
  for (const { folder: own, manifest } of packed) {
    const { dependencies, peerDependencies } = manifest
    for (const name of Object.keys({ ...dependencies, ...peerDependencies })) {
      if (!ours.has(name)) await link(name, await realpath(join(root, own, 'node_modules', name)))
    }
  }
  await link('@types/node', await realpath(join(root, 'node_modules/@types/node')))
}

/** Compiles an import of every entry in each setup, and returns the compilers' complaints. */
async function compile(
  root: string,
  folder: string,
  entries: readonly string[],
): Promise<string[]> {
  const lines = entries.map((entry, at) => `import * as entry${at} from '${entry}'`)
  const all = entries.map((_, at) => `entry${at}`).join(', ')
  // What Node takes for an ES module, what for CommonJS, and what the package.json above decides.
  const files = ['use.mts', 'use.cts', 'use.ts']
  for (const file of files) {
    await writeFile(join(folder, file), `${lines.join('\n')}\nexport const all = [${all}]\n`)
  }
  const problems: string[] = []
  for (const { module, moduleResolution, compilers } of SETUPS) {
    const config = {
      compilerOptions: {
        target: 'es2022',
        module,
        moduleResolution,
        esModuleInterop: true,
        types: ['node'],
        strict: true,
        skipLibCheck: false,
        // The compiler's own need not be: a quarter of the time of the older one.
        skipDefaultLibCheck: true,
        noEmit: true,
      },
      files: moduleResolution === 'nodenext' ? files : ['use.ts'],
    }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
    for (const name of compilers) {
      const args = [join(root, 'node_modules', COMPILERS[name]), '-p', 'tsconfig.json']
      const { exitCode, output } = await captureTool(folder, process.execPath, args)
      if (exitCode !== 0) problems.push(`${name} with ${moduleResolution}:\n${output}`)
    }
  }
  return problems
}

/** Requires and imports every entry with each Node, and returns what failed. */
async function load(
  folder: string,
  entries: readonly string[],
  nodes: readonly string[],
): Promise<string[]> {
  await writeFile(
    join(folder, 'load.cjs'),
    entries.map((entry) => `require(${JSON.stringify(entry)})`).join('\n'),
  )
  await writeFile(
    join(folder, 'load.mjs'),
    entries.map((entry) => `await import(${JSON.stringify(entry)})`).join('\n'),
  )
  const problems: string[] = []
  for (const node of nodes) {
    for (const file of ['load.cjs', 'load.mjs']) {
      const { exitCode, output } = await captureTool(folder, node, [file])
      if (exitCode !== 0) problems.push(`${node} ${file}:\n${output}`)
    }
  }
  return problems
}

/** What runs in Node only says so wherever else a bundler takes it. */
const OF_NODE = {
  '@roundsman/admin': 'createFetchHandler',
  '@roundsman/engine/client': 'createJobsClient',
}
const ELSEWHERE = ['edge-light', 'workerd', 'browser']

/** Asks a bundle for the console's page and its script, with and without compression. */
const ASK = `
import { createFetchHandler } from '@roundsman/admin'
import { createJobsClient } from '@roundsman/engine/client'
const client = createJobsClient({ databaseUrl: 'postgres://nobody@127.0.0.1:1/none' })
const handle = createFetchHandler({ client, jobs: [], authorize: () => null, basePath: '/jobs' })
const ask = (path, headers) => handle(new Request('http://localhost:3000' + path, { headers }))
async function main() {
  const page = await (await ask('/jobs')).text()
  const [, script] = /src="([^"]*assets[^"]*)"/.exec(page)
  const plain = await ask(script)
  const zipped = await ask(script, { 'accept-encoding': 'br, gzip' })
  const unzipped = zipped.body.pipeThrough(new DecompressionStream('gzip'))
  if (zipped.headers.get('content-encoding') !== 'gzip') throw new Error('is sent as it is')
  if ((await plain.text()) !== (await new Response(unzipped).text())) throw new Error('differs')
}
main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
`

/** Bundles the console for a server, and runs the bundle where no package is; then does the same for where there is no Node. */
async function bundle(folder: string): Promise<string[]> {
  const alone = await realpath(await mkdtemp(join(tmpdir(), 'roundsman-bundle-')))
  const run = async (contents: string, conditions?: string[]) => {
    const outfile = join(alone, 'bundle.cjs')
    try {
      await build({
        stdin: { contents, resolveDir: folder },
        bundle: true,
        format: 'cjs',
        outfile,
        logLevel: 'silent',
        ...(conditions ? { platform: 'neutral', conditions } : { platform: 'node' }),
      })
    } catch (error) {
      return { exitCode: 1, output: String(error) }
    }
    return await captureTool(alone, process.execPath, [outfile])
  }
  try {
    const problems: string[] = []
    const { exitCode, output } = await run(ASK)
    if (exitCode !== 0) problems.push(`the bundled console:\n${output}`)
    for (const [entry, name] of Object.entries(OF_NODE)) {
      for (const condition of ELSEWHERE) {
        const use = `import { ${name} } from '${entry}'\nconsole.log(${name})`
        const { output: said } = await run(use, [condition])
        if (!said.includes(`${entry} runs in Node only`))
          problems.push(`${entry} for ${condition}:\n${said}`)
      }
    }
    return problems
  } finally {
    await rm(alone, { recursive: true, force: true })
  }
}
