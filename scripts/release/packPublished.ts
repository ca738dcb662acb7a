import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative, sep } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build as esbuild, transform, type PluginBuild } from 'esbuild'
import { captureTool } from '../check/runTool.ts'
import { createTarball } from './createTarball.ts'
import {
  INLINED,
  toPublishedManifest,
  type OwnManifest,
  type PublishedManifest,
} from './toPublishedManifest.ts'

/** The folders of the packages that others install; each comes after those that it needs. */
export const PUBLISHED = [
  'packages/engine',
  'packages/sweep',
  'packages/local-postgres',
  'packages/admin',
  'packages/fastify',
  'packages/cli',
] as const

/** The package that serves the console. */
const CONSOLE_HOST = 'packages/admin'
/** What the build of the console takes the place of. */
const EMBEDDED = 'dist/console/embeddedFiles.js'

export interface PackedPackage {
  /** The package's folder, relative to the root. */
  folder: string
  name: string
  version: string
  /** The path of the tarball. */
  file: string
  manifest: PublishedManifest
  packedBytes: number
  unpackedBytes: number
  /** The files by their path in the package. */
  files: ReadonlyMap<string, Buffer>
}

interface AddedFields {
  /** Instead of the packages' own. */
  version?: string | undefined
  /** The URL of the repository from which they are published. */
  repository?: string | undefined
}

/**
 * Builds all published packages and packs them into a folder, as a registry would get them. It builds in a folder of its own, so that no stale build is packed and nobody else's build is disturbed.
 */
export async function packPublished(
  root: string,
  target: string,
  added: AddedFields = {},
): Promise<PackedPackage[]> {
  const built = await realpath(await mkdtemp(join(tmpdir(), 'roundsman-release-')))
  try {
    await checkOut(root, built)
    await build(built)
    await buildConsole(root, join(built, CONSOLE_HOST))
    await inlinePackages(built)
    await cp(join(root, 'docs'), join(built, 'packages/cli/docs'), {
      recursive: true,
      filter: (path) =>
        !/\/docs\/(adr|reference|(architecture|environment|guarantees|mail|releasing)\.md|[^/]+\.(json|yaml))$/.test(
          path,
        ),
    })
    await mkdir(target, { recursive: true })
    const packed: PackedPackage[] = []
    for (const folder of PUBLISHED) {
      packed.push(await pack(root, built, folder, target, added))
    }
    return packed
  } finally {
    await rm(built, { recursive: true, force: true })
  }
}

/** Copies the sources, and links what they need: published packages to their copies, others as they are installed. */
async function checkOut(root: string, target: string): Promise<void> {
  await cp(join(root, 'tsconfig.base.json'), join(target, 'tsconfig.base.json'))
  await symlink(join(root, 'node_modules'), join(target, 'node_modules'))
  const copies = new Map<string, string>()
  for (const folder of PUBLISHED) {
    await cp(join(root, folder), join(target, folder), {
      recursive: true,
      filter: (path) => !/\/(node_modules|dist|test)$/.test(path),
    })
    copies.set(await realpath(join(root, folder)), join(target, folder))
  }
  for (const folder of PUBLISHED) {
    const modules = join(root, folder, 'node_modules')
    for (const name of await listModules(modules)) {
      const link = join(target, folder, 'node_modules', name)
      await mkdir(dirname(link), { recursive: true })
      const found = await realpath(join(modules, name))
      await symlink(copies.get(found) ?? found, link)
    }
  }
}

/** The packages in a node_modules folder, those with a scope included. */
export async function listModules(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.'))
  const all = names.map(async (name) =>
    name.startsWith('@')
      ? (await readdir(join(folder, name))).map((one) => `${name}/${one}`)
      : [name],
  )
  return (await Promise.all(all)).flat()
}

async function build(root: string): Promise<void> {
  const { exitCode, output } = await captureTool(root, 'tsc', [
    '-b',
    '--sourceMap',
    'false',
    ...PUBLISHED,
  ])
  if (exitCode !== 0) throw new Error(`The packages do not build:\n${output}`)
}

/** Builds the console into the package that serves it: as a module, which bundlers and tracers follow. */
async function buildConsole(root: string, target: string): Promise<void> {
  const app = join(root, 'apps/console')
  const folder = join(target, 'dist/browser')
  const args = ['build', '--outDir', folder, '--emptyOutDir']
  const { exitCode, output } = await captureTool(app, join(app, 'node_modules/.bin/vite'), args)
  if (exitCode !== 0) throw new Error(`The console does not build:\n${output}`)
  const files: Record<string, string> = {}
  for (const file of await listAll(folder)) {
    const zipped = gzipSync(await readFile(file), { level: 9 })
    files[relative(folder, file).split(sep).join('/')] = zipped.toString('base64')
  }
  const text = `export const embeddedFiles = ${JSON.stringify(files, null, 2)}\n`
  await writeFile(join(target, EMBEDDED), text)
  await rm(folder, { recursive: true })
}

/** Bundles into each module what it imports from these packages. Products then do not install the unused parts. */
async function inlinePackages(built: string): Promise<void> {
  for (const folder of PUBLISHED) {
    for (const file of await listAll(join(built, folder, 'dist'))) {
      const text = file.endsWith('.js') ? await readFile(file, 'utf8') : ''
      const named = INLINED.filter((name) => text.includes(`from '${name}`))
      if (named.length === 0) continue
      const licences = named.map((name) => readLicence(join(built, folder, 'node_modules', name)))
      await esbuild({
        entryPoints: [file],
        outfile: file,
        allowOverwrite: true,
        bundle: true,
        platform: 'node',
        format: 'esm',
        // A stack trace of the engine or the console is to name lines.
        minify: folder === 'packages/cli',
        legalComments: 'inline',
        banner: { js: `/*! ${(await Promise.all(licences)).join('\n')} */` },
        plugins: [{ name: 'inlined', setup: keepOthersOutside }],
      })
    }
  }
}

async function readLicence(folder: string): Promise<string> {
  const name = (await readdir(folder)).find((one) => /^licen[cs]e/i.test(one)) ?? 'LICENSE'
  return await readFile(join(folder, name), 'utf8')
}

function keepOthersOutside({ onResolve }: PluginBuild): void {
  onResolve({ filter: /.*/ }, ({ path, importer, kind }) => {
    const isInlined = INLINED.some((name) => path === name || path.startsWith(`${name}/`))
    const isOfInlined =
      importer.includes('/node_modules/') && path !== 'zod' && !path.startsWith('zod/')
    return kind === 'entry-point' || isInlined || isOfInlined ? null : { path, external: true }
  })
}

/** Packs one built package into a tarball. */
async function pack(
  root: string,
  built: string,
  folder: string,
  target: string,
  added: AddedFields,
): Promise<PackedPackage> {
  const path = (name: string) => join(built, folder, name)
  const own = JSON.parse(await readFile(path('package.json'), 'utf8')) as OwnManifest
  const { version: asVersion = own.version, repository: url } = added
  const manifest = {
    ...toPublishedManifest({ ...own, version: asVersion }),
    ...(url !== undefined && {
      repository: { type: 'git', url: `git+${url}.git`, directory: folder },
    }),
  }
  const files = new Map<string, Buffer>([
    ['package.json', Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)],
    ['LICENSE', await readFile(join(root, 'LICENSE'))],
  ])
  for (const part of ['README.md', ...manifest.files]) {
    for (const file of await listAll(path(part))) {
      if (file.endsWith('.tsbuildinfo')) continue
      const name = relative(path('.'), file).split(sep).join('/')
      files.set(name, await toPublishedText(name, await readFile(file)))
    }
  }
  const { name, version } = manifest
  const file = join(target, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`)
  const tarball = createTarball(files)
  await writeFile(file, tarball)
  const unpackedBytes = [...files.values()].reduce((sum, { length }) => sum + length, 0)
  return {
    folder,
    name,
    version,
    file,
    manifest,
    files,
    packedBytes: tarball.length,
    unpackedBytes,
  }
}

async function listAll(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => null)
  if (found === null) return []
  if (found.isFile()) return [path]
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
}

/**
 * Leaves comments to the declarations, which editors show. In declarations it changes .ts to .js in imports: older TypeScript
 * and checkers take .ts for an error.
 */
async function toPublishedText(name: string, text: Buffer): Promise<Buffer> {
  if (name.endsWith('.js')) {
    const { code } = await transform(text.toString(), { legalComments: 'inline', charset: 'utf8' })
    return Buffer.from(code)
  }
  if (!name.endsWith('.d.ts')) return text
  return Buffer.from(text.toString().replaceAll(/(?<=['"]\.{1,2}\/[^'"\n]*\.)ts(?=['"])/g, 'js'))
}
