import { posix } from 'node:path'
import { findImports } from './findImports.ts'
import { sourceOfEntry, type Workspace } from './listWorkspaces.ts'
import type { Code } from './readCode.ts'

/** A file with fewer lines and one importer belongs into that importer: readers then open one file less. */
const MAX_LINES_TO_FOLD = 40

/** Small files with one importer that stand alone all the same, with the reason. */
const STANDS_ALONE: Readonly<Record<string, string>> = {
  'apps/api/src/http/createApiLogger.ts':
    'server.ts runs when it is imported, and tests need this alone',
  'apps/worker/src/command/commands.ts':
    'cli.ts runs when it is imported, and tests need this alone',
  'packages/admin/src/console/embeddedFiles.ts': 'is written anew where it is packed',
  'scripts/check/checkLicences.ts': 'main.ts runs when it is imported, and a test needs this alone',
  'scripts/check/checkLint.ts': 'main.ts runs when it is imported, and a test needs this alone',
  'packages/cli/src/mcp/addMcpServer.ts': 'a test needs this alone',
  'scripts/hosts/readSteps.ts': 'tests of the documents need this alone',
  'scripts/enableCompileCache.ts': 'is also loaded by its path, before a program',
}

/** Files that may be this small, because there is one for each of something. */
const ONE_FILE_EACH = [
  // The jobs: what each is, and what it does.
  /^packages\/jobs\/src\/[^/]+\.ts$/,
  /^apps\/worker\/src\/jobs\/[^/]+\.ts$/,
  // Commands of the CLI.
  /^packages\/cli\/src\/.+Command\.ts$/,
  // Checks of arguments, by what is called.
  /^packages\/engine\/src\/arguments\/[^/]+\.ts$/,
  // Tables of the options that a package takes.
  /^packages\/[^/]+\/src\/options\.ts$/,
  // Routes and screens.
  /Routes\.ts$/,
  /Screen\.tsx$/,
]

/** What other products have their queue in, and 0.2 had. */
const FORMER_QUEUE = /pg[-_ ]?boss/i
/** Files that may name it: what measures against it, or imports its rows, with the tests; and these rules. */
const MAY_NAME_FORMER_QUEUE = [
  /^packages\/lab\/(?:src|test)\/bench\//,
  /^packages\/engine\/(?:src|test)\/(?:arguments|tables)\/importPgBoss\b/,
  /^packages\/engine\/src\/internal\.ts$/,
  /^packages\/cli\/(?:src|test)\/(?:import|migrate)\//,
  /^scripts\/(?:check|test)\/check(?:Boundaries|House)\b/,
  // The example of docs/comingFrom/.
  /^scripts\/test\/guide\//,
]

/** The one folder that checks what programs pass in, and the file of tables of each other package. */
const MAY_CHECK_ARGUMENTS = [
  /^packages\/engine\/src\/(?:arguments\/|control\/checkSchedules\.ts$|internal\.ts$|values\/argument\.ts$)/,
  /^packages\/(?:admin|fastify)\/src\/options\.ts$/,
  /^packages\/sweep\/src\/arguments\.ts$/,
]
/** What tables are made of, and read by. */
const TABLES =
  /\b(?:checkOptions|checkParts|copyList|copyParts|listOf|nullable|objectOf|oneOf|optional)\b/
const CHECKS_IMPORTED =
  /\bimport\s*\{([^}]*)\}\s*from\s*'(?:[./]*\/values\/argument\.ts|@roundsman\/engine\/internal)'/g

const SOURCE = /^(?:(?:apps|packages)\/[^/]+\/src|scripts(?!\/test\/))\/(?:[^/]+\/)*[^/]+\.tsx?$/
const TESTS = /^(?:(?:apps|packages)\/[^/]+\/(?:test|e2e)|scripts\/test)\//
/**
 * Reports small files that one other file alone imports. A file that an entry exports to other packages may be small:
 * they import a name, and open no file.
 */
export function checkHouse(
  { files, workspaces }: Code,
  standsAlone: Readonly<Record<string, string>> = STANDS_ALONE,
): readonly string[] {
  const code = [...files].filter(([path]) => /\.[cm]?tsx?$/.test(path) && !TESTS.test(path))
  const { importers, offered } = findImporters(code, workspaces)
  const small = new Map<string, string>()
  for (const [path, text] of code) {
    const lines = text.split('\n').length - 1
    const [importer, ...others] = importers.get(path) ?? []
    const mayBeSmall = ONE_FILE_EACH.some((one) => one.test(path)) || offered.has(path)
    if (!SOURCE.test(path) || mayBeSmall || lines > MAX_LINES_TO_FOLD) continue
    if (importer === undefined || others.length > 0) continue
    small.set(
      path,
      `${path}:1: has ${lines} lines and one importer: fold it into ${importer} below what uses it, or say ` +
        'in STANDS_ALONE of scripts/check/checkHouse.ts why it has to stand alone',
    )
  }
  return [
    ...[...small].filter(([path]) => standsAlone[path] === undefined).map(([, problem]) => problem),
    ...Object.keys(standsAlone)
      .filter((path) => !small.has(path))
      .map(
        (path) =>
          `${path}:1: is no small file with one importer (any more): take it out of STANDS_ALONE of scripts/check/checkHouse.ts`,
      ),
  ]
}

/** The lines, from 1, in which a file names the former queue without being allowed to. */
export function linesThatNameFormerQueue(path: string, text: string): number[] {
  if (MAY_NAME_FORMER_QUEUE.some((one) => one.test(path))) return []
  return text.split('\n').flatMap((line, at) => (FORMER_QUEUE.test(line) ? [at + 1] : []))
}

/** The lines, from 1, in which a file checks arguments without being a place for that. */
export function linesThatCheckArguments(path: string, text: string): number[] {
  if (!SOURCE.test(path) || MAY_CHECK_ARGUMENTS.some((one) => one.test(path))) return []
  const imports = [...text.matchAll(CHECKS_IMPORTED)].filter(([, names = '']) => TABLES.test(names))
  const found = [...imports, ...text.matchAll(/\bnew ArgumentError\(/g)].map(({ index }) => index)
  return found.map((index) => text.slice(0, index).split('\n').length)
}

/** Whether a relative import leads into a package from outside of it. */
export function reachesIntoPackage(path: string, specifier: string): boolean {
  if (!specifier.startsWith('.')) return false
  const [folder] = /^packages\/[^/]+\//.exec(posix.join(posix.dirname(path), specifier)) ?? []
  return folder !== undefined && !path.startsWith(folder)
}

/** Finds who imports each file, and which files an entry exports to other packages. */
function findImporters(
  code: readonly (readonly [path: string, text: string])[],
  workspaces: readonly Workspace[],
) {
  const entries = new Set(workspaces.flatMap(listEntries))
  const importers = new Map<string, Set<string>>()
  /** Exported to other packages, which import a name and no file. */
  const offered = new Set(entries)
  for (const [path, text] of code) {
    for (const { specifier, isReExport } of findImports(path, text)) {
      if (!specifier.startsWith('.')) continue
      const target = posix.join(posix.dirname(path), specifier)
      if (isReExport && entries.has(path)) offered.add(target)
      else importers.set(target, (importers.get(target) ?? new Set()).add(path))
    }
  }
  return { importers, offered }
}

function listEntries({ folder, manifest }: Workspace): string[] {
  return Object.values(manifest.exports ?? {}).flatMap(
    (target) => sourceOfEntry(folder, target) ?? [],
  )
}
