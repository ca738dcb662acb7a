import type { Manifest } from '../check/listWorkspaces.ts'

/** A manifest of ours as it stands in this repository. */
export interface OwnManifest extends Manifest {
  name: string
  version: string
  license?: string
  files?: string[]
  bin?: Record<string, string>
  exports: Record<string, string | Record<string, string>>
  optionalDependencies?: Record<string, string>
  /** The modules that bundlers keep although nothing is imported from them. Absent: all. */
  sideEffects?: false | string[]
}

export interface PublishedManifest extends OwnManifest {
  files: string[]
  main?: string
  types?: string
  /** For `moduleResolution: node`, which does not read `exports`. */
  typesVersions?: Record<string, Record<string, string[]>>
}

/** Packages of which the packed modules have a copy of what they import. zod is not among them: products have it anyway. */
export const INLINED = [
  '@modelcontextprotocol/server',
  'croner',
  'cronstrue',
  'get-tsconfig',
  'node-cron',
]
/** Fields that concern this repository only. */
const OWN = ['private', 'scripts', 'devDependencies', 'publishConfig']
const SOURCE = '@roundsman/source'

/**
 * Makes the manifest for a registry: without sources to load, with versions instead of `workspace:`, and with fields
 * for a TypeScript that does not read `exports`.
 */
export function toPublishedManifest(own: OwnManifest): PublishedManifest {
  const kept = Object.fromEntries(Object.entries(own).filter(([name]) => !OWN.includes(name)))
  const exports = Object.fromEntries(
    Object.entries(own.exports).map(([entry, target]) => [entry, withoutSource(target)]),
  )
  const { '.': index, ...others } = exports
  return {
    ...(kept as unknown as OwnManifest),
    files: (own.files ?? ['dist']).filter((one) => !one.startsWith('!')),
    exports: { ...exports, './package.json': './package.json' },
    ...(typeof index === 'object' && { main: index['default'] ?? '', types: index['types'] ?? '' }),
    ...(Object.keys(others).length > 0 && { typesVersions: { '*': typesOf(others) } }),
    ...withVersions(own, 'dependencies', ''),
    ...withVersions(own, 'peerDependencies', '^'),
  }
}

function withoutSource(target: string | Record<string, string>): string | Record<string, string> {
  if (typeof target === 'string') return target
  return Object.fromEntries(Object.entries(target).filter(([condition]) => condition !== SOURCE))
}

function typesOf(entries: OwnManifest['exports']): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(entries).flatMap(([entry, target]) =>
      typeof target === 'object' && target['types'] !== undefined
        ? [[entry.replace(/^\.\//, ''), [target['types']]]]
        : [],
    ),
  )
}

/** Replaces `workspace:` by a version. All packages have the same: released together, they fit together. */
function withVersions(
  own: OwnManifest,
  kind: 'dependencies' | 'peerDependencies',
  range: string,
): Partial<Manifest> {
  const entries = Object.entries(own[kind] ?? {}).filter(([name]) => !INLINED.includes(name))
  if (entries.length === 0) return {}
  return {
    [kind]: Object.fromEntries(
      entries.map(([name, version]) => [
        name,
        version.startsWith('workspace:') ? `${range}${own.version}` : version,
      ]),
    ),
  }
}
