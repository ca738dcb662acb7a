import { join } from 'node:path'
import { ForeseenError } from '../command/runCommand.ts'

/** The parts of a package.json that init reads. */
export interface Manifest {
  name?: string
  type?: string
  packageManager?: string
  workspaces?: unknown
  scripts?: Record<string, string>
  dependencies?: Record<string, string>
  devDependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
}

/** @throws ForeseenError if the text is not JSON, or not an object */
export function parseManifest(root: string, text: string): Manifest {
  const path = join(root, 'package.json')
  let manifest: unknown
  try {
    // Package managers accept a byte-order mark.
    manifest = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    throw new ForeseenError(`${path}: ${(error as Error).message}`)
  }
  if (!isPlain(manifest))
    throw new ForeseenError(`${path}: it holds no object, such as { "name": "shop" }`)
  for (const section of SECTIONS) {
    // Package managers treat null as a missing section.
    if (manifest[section] === null) delete manifest[section]
    if (manifest[section] !== undefined && !isPlain(manifest[section]))
      throw new ForeseenError(`${path}: "${section}" must be an object, such as {}`)
  }
  return manifest
}

const SECTIONS = ['scripts', 'dependencies', 'devDependencies', 'peerDependencies']

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** All dependencies, shipped or not. */
export function dependenciesOf(manifest: Manifest): Record<string, string> {
  return { ...manifest.peerDependencies, ...manifest.devDependencies, ...manifest.dependencies }
}

/** The lowest version that a range allows. A text without a number (`latest`, `workspace:*`) counts as the newest. */
export function lowestVersion(range: string): [major: number, minor: number] {
  const [, major, minor = '0'] = /(\d+)(?:\.(\d+))?/.exec(range) ?? []
  return major === undefined ? [Number.POSITIVE_INFINITY, 0] : [Number(major), Number(minor)]
}
