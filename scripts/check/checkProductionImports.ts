import { readFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { join, posix } from 'node:path'
import { findImports } from './findImports.ts'
import { listWorkspaces, sourceOfEntry, type Manifest } from './listWorkspaces.ts'

/** What a deployment runs: the two processes, the worker's commands, and the commands that change its database. */
const ENTRIES = [
  'apps/api/src/server.ts',
  'apps/worker/src/main.ts',
  'apps/worker/src/handlersModule.ts',
  'apps/worker/src/cli.ts',
  'scripts/enableCompileCache.ts',
  'scripts/source.ts',
  'scripts/migrate.ts',
  'scripts/userCreate.ts',
  'scripts/userPassword.ts',
  'scripts/production/main.ts',
]

interface Owner extends Manifest {
  peerDependenciesMeta?: Record<string, { optional?: boolean }>
}

/** Reports what a deployment loads that a production install lacks, because it is among the devDependencies. */
export async function checkProductionImports(
  root: string,
  entries: readonly string[] = ENTRIES,
): Promise<readonly string[]> {
  const owners = new Map<string, Owner>()
  for (const { folder, manifest } of await listWorkspaces(root)) owners.set(folder, manifest)
  owners.set('.', JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Owner)
  const problems: string[] = []
  const files = new Set(entries)
  for (const path of files) {
    const folder = /^(?:apps|packages)\/[^/]+/.exec(path)?.[0] ?? '.'
    for (const found of findImports(path, await readFile(join(root, path), 'utf8'))) {
      const { specifier, isTypeOnly, isComputed, line } = found
      if (isTypeOnly || isComputed || isBuiltin(specifier)) continue
      if (specifier.startsWith('.')) {
        const target = posix.join(posix.dirname(path), specifier)
        if (/\.[cm]?tsx?$/.test(target)) files.add(target)
        continue
      }
      const name = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier
      if (!isInstalled(name, owners.get(folder))) {
        problems.push(
          `${path}:${line}: runs in production and imports ${name}: move it from devDependencies to dependencies ` +
            `of ${posix.join(folder, 'package.json')} (as a peer it must not be in devDependencies as well)`,
        )
      }
      const source = findSource(specifier, name, owners)
      if (source !== undefined) files.add(source)
    }
  }
  return problems
}

/**
 * Whether a production install brings a package. pnpm installs our packages' peers too, except those that are also in
 * devDependencies. An optional peer may be missing: its package copes with that.
 */
function isInstalled(name: string, owner: Owner = {}): boolean {
  const { dependencies, optionalDependencies, peerDependencies, devDependencies } = owner
  if ({ ...dependencies, ...optionalDependencies }[name] !== undefined) return true
  if (peerDependencies?.[name] === undefined) return false
  return (
    devDependencies?.[name] === undefined || owner.peerDependenciesMeta?.[name]?.optional === true
  )
}

/** The source file of an entry of one of our packages. */
function findSource(
  specifier: string,
  name: string,
  owners: ReadonlyMap<string, Owner>,
): string | undefined {
  const found = [...owners].find(([, manifest]) => manifest.name === name)
  if (found === undefined) return undefined
  const [folder, { exports = {} }] = found
  return sourceOfEntry(folder, exports[`.${specifier.slice(name.length)}`])
}
