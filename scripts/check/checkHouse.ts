import { posix } from 'node:path'
import { findImports, type FoundImport } from './findImports.ts'
import { sourceOfEntry, type Workspace } from './listWorkspaces.ts'
import type { Code } from './readCode.ts'

/** A file of up to so many lines makes readers open another file for little, if only one file needs it. */
const MAX_LINES_TO_FOLD = 40

/** Small files with one importer that stand alone all the same, with the reason. */
const STANDS_ALONE: Readonly<Record<string, string>> = {
  'apps/api/src/http/createApiLogger.ts':
    'server.ts runs when it is imported, and tests need this alone',
  'apps/worker/src/command/commands.ts':
    'cli.ts runs when it is imported, and tests need this alone',
  'packages/admin/src/console/embeddedFiles.ts': 'is written anew where it is packed',
  'packages/engine/src/store/toColumn.ts': 'a test draws values for this alone',
  'packages/engine/src/tick/isUnfinished.ts':
    'scheduler.ts is long, and a test asks the planner about this alone',
  'packages/lab/src/hostile/scheduleProcess.ts': 'is a program, which runSchedules.ts starts',
  'scripts/check/checkLicences.ts': 'main.ts runs when it is imported, and a test needs this alone',
  'scripts/check/checkLint.ts': 'main.ts runs when it is imported, and a test needs this alone',
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
  // Routes and screens.
  /Routes\.ts$/,
  /Screen\.tsx$/,
]

/** What the queue was built on up to 0.2. */
const FORMER_QUEUE = /pg[-_ ]?boss/i
/** Files that may name it: what measures against it, moves its rows, or imports them, with the tests; and these rules. */
const MAY_NAME_FORMER_QUEUE = [
  /^packages\/lab\/(?:src|test)\/(?:bench|upgrade)\//,
  /^packages\/engine\/(?:src|test)\/store\/(?:fromBefore|importPgBoss|migrateBesideReaders)\b/,
  /^packages\/engine\/src\/internal\.ts$/,
  /^packages\/cli\/(?:src|test)\/(?:import|migrate)\//,
  /^scripts\/(?:check|test)\/check(?:Boundaries|House)\b/,
  // The example of docs/comingFrom/.
  /^scripts\/test\/guide\//,
]

const SOURCE = /^(?:(?:apps|packages)\/[^/]+\/src|scripts(?!\/test\/))\/(?:[^/]+\/)*[^/]+\.tsx?$/
const TESTS = /^(?:(?:apps|packages)\/[^/]+\/(?:test|e2e)|scripts\/test)\//
/** A file of the sources. */
interface Room {
  path: string
  lines: number
  text: string
  imports: readonly FoundImport[]
}

export interface House {
  rooms: readonly Room[]
  smallWithOneImporter: readonly { path: string; lines: number; importer: string }[]
  relativeIntoPackages: number
}

/**
 * Reports small files that one other file alone imports. A file that an entry exports to other packages may be small:
 * they import a name, and open no file.
 */
export function checkHouse(
  { smallWithOneImporter }: House,
  standsAlone: Readonly<Record<string, string>> = STANDS_ALONE,
): readonly string[] {
  const small = new Set(smallWithOneImporter.map(({ path }) => path))
  return [
    ...smallWithOneImporter
      .filter(({ path }) => standsAlone[path] === undefined)
      .map(
        ({ path, lines, importer }) =>
          `${path}:1: has ${lines} lines and one importer: fold it into ${importer} below what uses it, or say ` +
          'in STANDS_ALONE of scripts/check/checkHouse.ts why it has to stand alone',
      ),
    ...Object.keys(standsAlone)
      .filter((path) => !small.has(path))
      .map(
        (path) =>
          `${path}:1: is no small file with one importer (any more): take it out of STANDS_ALONE of scripts/check/checkHouse.ts`,
      ),
  ]
}

/** Writes the size of the house for people, a line for each count. */
export function countHouse({ rooms, smallWithOneImporter, relativeIntoPackages }: House): string {
  const counts: [what: string, count: number][] = [
    ['source files', rooms.length],
    [
      `of up to ${MAX_LINES_TO_FOLD} lines`,
      rooms.filter(({ lines }) => lines <= MAX_LINES_TO_FOLD).length,
    ],
    ['of those with one importer', smallWithOneImporter.length],
    ['relative imports into packages', relativeIntoPackages],
  ]
  return counts.map(([what, count]) => `${String(count).padStart(5)}  ${what}\n`).join('')
}

/** Reads the sources for both functions above. */
export function readHouse({ files, workspaces }: Code): House {
  const read = [...files]
    .filter(([path]) => /\.[cm]?tsx?$/.test(path) && !TESTS.test(path))
    .map(readRoom)
  const rooms = read.filter(({ path }) => SOURCE.test(path))
  const { importers, offered } = findImporters(read, workspaces)
  const smallWithOneImporter = rooms.flatMap(({ path, lines }) => {
    const [importer, ...others] = importers.get(path) ?? []
    const isSmall = lines <= MAX_LINES_TO_FOLD && !ONE_FILE_EACH.some((one) => one.test(path))
    if (!isSmall || importer === undefined || others.length > 0 || offered.has(path)) return []
    return [{ path, lines, importer }]
  })
  const relativeIntoPackages = read.flatMap(({ path, imports }) =>
    imports.filter(({ specifier }) => reachesIntoPackage(path, specifier)),
  ).length
  return { rooms, smallWithOneImporter, relativeIntoPackages }
}

function readRoom([path, text]: readonly [path: string, text: string]): Room {
  return { path, text, lines: text.split('\n').length - 1, imports: findImports(path, text) }
}

/** The lines, from 1, in which a file names the former queue without being allowed to. */
export function linesThatNameFormerQueue(path: string, text: string): number[] {
  if (MAY_NAME_FORMER_QUEUE.some((one) => one.test(path))) return []
  return text.split('\n').flatMap((line, at) => (FORMER_QUEUE.test(line) ? [at + 1] : []))
}

/** Whether a relative import leads into a package from outside of it. */
export function reachesIntoPackage(path: string, specifier: string): boolean {
  if (!specifier.startsWith('.')) return false
  const [folder] = /^packages\/[^/]+\//.exec(posix.join(posix.dirname(path), specifier)) ?? []
  return folder !== undefined && !path.startsWith(folder)
}

/** Finds who imports each file, and which files an entry exports to other packages. */
function findImporters(rooms: readonly Room[], workspaces: readonly Workspace[]) {
  const entries = new Set(workspaces.flatMap(listEntries))
  const importers = new Map<string, Set<string>>()
  /** Exported to other packages, which import a name and no file. */
  const offered = new Set(entries)
  for (const { path, imports } of rooms) {
    for (const { specifier, isReExport } of imports) {
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
