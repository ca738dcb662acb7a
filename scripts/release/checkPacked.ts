import { posix } from 'node:path'
import { parseSync } from 'oxc-parser'
import type { PackedPackage } from './packPublished.ts'

/**
 * Reports what is wrong with a packed package: something that a registry or its users need is missing, something of
 * this repository is in it, or its types need a package that its users do not get with it.
 */
export function checkPacked(packed: PackedPackage): string[] {
  const { name, files } = packed
  const has = (path: string) => files.has(posix.normalize(path))
  const problems = [
    ...['README.md', 'LICENSE'].filter((path) => !has(path)).map((path) => `has no ${path}`),
    ...checkManifest(packed),
    ...targetsOf(packed)
      .filter((path) => !has(path))
      .map((path) => `names ${path}, which is not in it`),
    ...checkSideEffects(packed),
    ...checkTypes(packed),
  ]
  return problems.map((problem) => `${name}: ${problem}`)
}

/** Checks that the manifest says what a registry needs, and nothing that is this repository's own. */
function checkManifest({ manifest }: PackedPackage): string[] {
  const text = JSON.stringify(manifest)
  const { description, license, engines, type } = manifest as unknown as Record<string, unknown>
  return [
    ...['"private"', '@roundsman/source', 'workspace:', '"scripts"', '"devDependencies"']
      .filter((own) => text.includes(own))
      .map((own) => `its manifest has ${own}, which is this repository's own`),
    ...(description ? [] : ['has no description']),
    ...(license === 'MIT' ? [] : ['does not say that its licence is MIT']),
    ...(engines ? [] : ['does not say which Node it needs']),
    ...(type === 'module' ? [] : ['does not say that it is of ES modules']),
  ]
}

/** The files to which its manifest points. */
function targetsOf({ manifest }: PackedPackage): string[] {
  const { exports, bin = {} } = manifest
  const targets = Object.values(exports).flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target),
  )
  return [...targets, ...Object.values(bin)]
}

/** Checks that `sideEffects`, where a manifest has it, names exactly the modules that act when they are imported. */
function checkSideEffects({ manifest, files }: PackedPackage): string[] {
  if (manifest.sideEffects === undefined) return []
  const named = new Set(manifest.sideEffects || [])
  const acting = new Set(
    [...files]
      .filter(([path, text]) => /^dist\/.*\.c?js$/.test(path) && actsAtImport(path, text))
      .map(([path]) => `./${path}`),
  )
  return [
    ...[...acting.difference(named)].map((path) => `does not name ${path} in sideEffects`),
    ...[...named.difference(acting)].map((path) => `names ${path} in sideEffects, which has none`),
  ]
}

/** Whether a module has statements of its own, beside imports, exports and declarations. */
function actsAtImport(path: string, text: Buffer): boolean {
  const { program } = parseSync(path, text.toString())
  return program.body.some(
    (statement) =>
      !/^(?:Import|Export|Function|Class|Variable)/.test(statement.type) &&
      !('directive' in statement && statement.directive),
  )
}

/** Checks the packages to which the declarations of each entry lead. */
function checkTypes({ manifest, files }: PackedPackage): string[] {
  const { dependencies = {}, peerDependencies = {} } = manifest
  const allowed = new Set([...Object.keys(dependencies), ...Object.keys(peerDependencies)])
  const problems = new Set<string>()
  for (const [entry, target] of Object.entries(manifest.exports)) {
    if (typeof target === 'string' || target['types'] === undefined) continue
    for (const { specifier, way } of importsOf(target['types'], files)) {
      const foreign = packageOf(specifier)
      if (specifier.startsWith('node:')) continue
      if (!allowed.has(foreign)) {
        problems.add(`the types of ${entry} ask for ${specifier} (${way})`)
      } else if (WITHOUT_TYPES.has(foreign)) {
        problems.add(
          `the types of ${entry} name ${specifier}, whose own are not to be relied on (${way})`,
        )
      }
    }
  }
  return [...problems]
}

/** Packages whose declarations are in another package, or name types that these do not have. */
const WITHOUT_TYPES = new Set(['pg', 'node-cron'])

function packageOf(specifier: string): string {
  const [scope = '', name = ''] = specifier.split('/')
  return scope.startsWith('@') ? `${scope}/${name}` : scope
}

/** Finds what the declarations import from other packages, from an entry on, with the way that leads there. */
function* importsOf(
  entry: string,
  files: ReadonlyMap<string, Buffer>,
): Generator<{ specifier: string; way: string }> {
  const first = posix.normalize(entry)
  const ways = new Map([[first, first]])
  for (const [path, way] of ways) {
    // Without comments: a docstring may show imports.
    const text =
      files
        .get(path)
        ?.toString()
        .replaceAll(/\/\*[^]*?\*\//g, '') ?? ''
    for (const [, specifier = ''] of text.matchAll(IMPORT)) {
      if (specifier.startsWith('.')) {
        const target = posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.d.ts')
        if (!ways.has(target)) ways.set(target, `${way} → ${target}`)
      } else {
        yield { specifier, way }
      }
    }
  }
}

const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"\n]+)['"]|<reference types=["']([^"'\n]+)["']/g
