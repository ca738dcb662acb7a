import { isBuiltin } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { OutputOptions, Plugin, RolldownOptions } from 'rolldown'

/** Where `roundsman build` writes unless it is told, relative to the configuration's folder. */
export const PROGRAM = '.roundsman/worker.mjs'

/** Its name is no path, so that no other plugin takes it for a file. */
const ENTRY = '\0roundsman program'

export interface BundleOptions {
  /** The configuration, which imports jobs and, in `open`, handlers. */
  config: string
  /** The file to write. */
  file: string
  /** Names of packages that are loaded where it runs. */
  external: readonly string[]
}

/** How to make one file of a worker: the configuration and all that it imports, as the product's own bundler would resolve it. */
export function describeBundle({ config, file, external }: BundleOptions) {
  const output = {
    file,
    format: 'esm',
    sourcemap: true,
    // The imports of `open` stay unloaded until it is called, but are in the same file.
    codeSplitting: false,
  } satisfies OutputOptions
  const input = {
    input: ENTRY,
    cwd: dirname(config),
    platform: 'node',
    transform: { jsx: { runtime: 'automatic' } },
    // These two only keep modules out of browsers, or out of servers, and would throw here.
    resolve: { alias: { 'server-only': false, 'client-only': false } },
    plugins: [entryPlugin(config), externalPlugin(external)],
    logLevel: 'silent',
  } satisfies RolldownOptions
  return { ...input, output }
}

function entryPlugin(config: string): Plugin {
  const name = import.meta.url.endsWith('.ts') ? './runProgram.ts' : './runProgram.js'
  const program = fileURLToPath(new URL(name, import.meta.url))
  return {
    name: 'roundsman-entry',
    resolveId: (source) => (source === ENTRY ? ENTRY : null),
    load: (id) =>
      id === ENTRY
        ? `import config from ${JSON.stringify(config)}
import { runProgram } from ${JSON.stringify(program)}
await runProgram(config)`
        : null,
  }
}

function externalPlugin(external: BundleOptions['external']): Plugin {
  return {
    name: 'roundsman-external',
    async resolveId(source, importer, { kind }) {
      if (importer === undefined || source === ENTRY || isBuiltin(source)) return null
      if (external.some((name) => `${source}/`.startsWith(`${name}/`))) {
        return { id: source, external: true }
      }
      const found = await this.resolve(source, importer, { kind, skipSelf: true })
      // An optional requirement (pg-native) may be missing; a statement would end the worker at its start.
      if (!found && kind === 'import-statement') {
        throw new Error(`${importer} imports ${source}, which is not installed`)
      }
      return found
    },
  }
}
