import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { listPackages, readManifest, type ForeignPackage, type Manifest } from './listPackages.ts'

const OUR_LOCKFILE = join(import.meta.dirname, '../../../pnpm-lock.yaml')
const GROUPS = ['dependencies', 'devDependencies'] as const

interface Tarball {
  /** Relative to the foreign workspace. */
  path: string
  integrity: string
  /** Of what is packed in it. */
  manifest: Manifest
}

/**
 * Writes the lockfile of a foreign workspace with the versions that ours has: they are in the store, and
 * nothing has to be fetched or resolved. `roundsman` is the checkout that the tarball was packed from.
 */
export async function writeLockfile(root: string, roundsman: string): Promise<void> {
  const ours = await readFile(OUR_LOCKFILE, 'utf8')
  const packages = await listPackages(root)
  const tarball = await findTarball(root, roundsman)
  const [entries = '', snapshots = ''] = ours
    .slice(ours.indexOf('\npackages:\n'))
    .split('\nsnapshots:\n')
  await writeFile(
    join(root, 'pnpm-lock.yaml'),
    [
      // Without our overrides, which the foreign workspace has not.
      ours.slice(0, ours.search(/\n(?:overrides|importers):\n/)),
      '\nimporters:\n',
      ...packages.map((one) => importer(one, { packages, tarball, ours })),
      entries,
      tarball ? packageEntry(tarball) : '',
      '\nsnapshots:\n',
      tarball ? snapshotEntry(tarball, ours) : '',
      snapshots,
    ].join(''),
  )
}

async function findTarball(root: string, roundsman: string): Promise<Tarball | null> {
  const names = await readdir(join(root, 'vendor')).catch(() => [])
  const name = names.find((candidate) => candidate.endsWith('.tgz'))
  if (name === undefined) return null
  const bytes = await readFile(join(root, 'vendor', name))
  return {
    path: `vendor/${name}`,
    integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
    manifest: await readManifest(join(roundsman, 'packages/engine')),
  }
}

function importer(
  { path, manifest }: ForeignPackage,
  known: { packages: ForeignPackage[]; tarball: Tarball | null; ours: string },
): string {
  const groups = GROUPS.map((group) => {
    const lines = Object.entries(manifest[group] ?? {}).map(
      ([name, specifier]) =>
        `      '${name}':\n        specifier: ${specifier}\n        version: ${version(name, specifier)}\n`,
    )
    return lines.length === 0 ? '' : `    ${group}:\n${lines.join('')}`
  })
  const text = groups.join('')
  return text === '' ? `\n  ${path}: {}\n` : `\n  ${path}:\n${text}`

  function version(name: string, specifier: string): string {
    const { packages, tarball, ours } = known
    if (specifier.startsWith('workspace:')) {
      const target = packages.find((other) => other.manifest.name === name)
      return `link:${relative(path, target?.path ?? '')}`
    }
    if (!specifier.startsWith('file:')) return ourVersion(ours, name)
    if (tarball === null) throw new Error(`${path} needs ${specifier}, which is not there`)
    return `file:${tarball.path}${peers(tarball, ours)}`
  }
}

/** As our lockfile spells it, peers included. */
function ourVersion(lockfile: string, name: string): string {
  const pattern = new RegExp(
    `\\n      '?${name}'?:\\n        specifier: .*\\n        version: (.*)\\n`,
  )
  const version = pattern.exec(lockfile)?.[1]
  if (version === undefined) throw new Error(`pnpm-lock.yaml knows no ${name}`)
  return version
}

function peers({ manifest }: Tarball, ours: string): string {
  const names = Object.keys(manifest.peerDependencies ?? {}).toSorted()
  return names.map((name) => `(${name}@${ourVersion(ours, name)})`).join('')
}

function packageEntry({ path, integrity, manifest }: Tarball): string {
  const ranges = Object.entries(manifest.peerDependencies ?? {})
  return `
  '${manifest.name}@file:${path}':
    resolution: {integrity: ${integrity}, tarball: file:${path}}
    version: ${manifest.version}
    peerDependencies:
${ranges.map(([name, range]) => `      ${name}: ${range}\n`).join('')}`
}

function snapshotEntry(tarball: Tarball, ours: string): string {
  const { path, manifest } = tarball
  const names = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }).toSorted()
  return `
  '${manifest.name}@file:${path}${peers(tarball, ours)}':
    dependencies:
${names.map((name) => `      '${name}': ${ourVersion(ours, name)}\n`).join('')}`
}
