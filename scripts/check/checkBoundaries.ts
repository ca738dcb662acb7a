import { readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { findImports, type FoundImport } from './findImports.ts'
import { listFiles } from './listFiles.ts'
import { listWorkspaces, type Workspace } from './listWorkspaces.ts'

/**
 * Who may import what of ours. A room is a folder of packages or apps, and is imported as
 * `@roundsman/<room>`; what is not listed is forbidden. Only the way that is named is open: `runtime/client`
 * opens neither `runtime` nor `runtime/worker`. Scripts and configuration files may import everything.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  db: [],
  billing: [],
  runtime: [],
  process: [],
  telemetry: [],
  jobs: ['runtime/contract'],
  testing: ['db'],
  api: [
    'db',
    'billing',
    'process',
    'process/cronInWords',
    'telemetry',
    'jobs',
    'jobs/hooks',
    'runtime/client',
    'runtime/contract',
  ],
  worker: [
    'db',
    'billing',
    'process',
    'process/cronInWords',
    'telemetry',
    'jobs',
    'jobs/hooks',
    'runtime/worker',
    'runtime/contract',
  ],
  console: ['api/console (types)'],
  bench: ['db', 'jobs', 'runtime/client', 'runtime/worker', 'runtime/contract'],
}

/** Beside what their room may import, and the room itself. The client is how a test plays a producer. */
const TESTS_MAY_IMPORT = [
  'testing',
  'testing/hostileOutcomes',
  'testing/hostileValues',
  'db',
  'runtime/client',
]

/** The same for one room: the API's tests need the queue's tables, and creating them is the worker's to do. */
const TESTS_OF_ROOM_MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  api: ['runtime/worker'],
}

/**
 * Within a room, by folder of its src: the API takes the client, and must not get a scheduler along with it,
 * by no detour either.
 */
const MAY_IMPORT_WITHIN: Readonly<Record<string, readonly string[]>> = {
  'runtime/contract': [],
  'runtime/queue': ['runtime/contract'],
  'runtime/client': ['runtime/contract', 'runtime/queue'],
  'runtime/worker': ['runtime/contract', 'runtime/queue', 'runtime/client'],
}

/** Packages of others that only these folders know. */
const ONLY_IN: Readonly<Record<string, readonly [string, ...string[]]>> = {
  // What the engine stands on is also what it is measured against.
  'pg-boss': ['packages/runtime/', 'packages/bench/'],
  'node-cron': ['packages/runtime/src/worker/'],
}

/** Files that import by a name which they compute, and what they import. */
const COMPUTED: Readonly<Record<string, string>> = {
  'apps/worker/src/check/findRefusedDefinitions.ts': 'the files of the catalogue',
  'packages/runtime/src/worker/isolated/childProcess.ts': 'the handlers that the worker names',
  'packages/db/src/embedded/prepareBinaries.ts': "PostgreSQL's programs for this platform",
}

const SCOPE = '@roundsman/'

/** A file of a room, taken apart. */
interface Place {
  path: string
  /** `packages/runtime` */
  folder: string
  /** `runtime` */
  room: string
  /** `runtime/worker` for what is below packages/runtime/src/worker; else the room. */
  part: string
  isTest: boolean
}

/**
 * Whether each room imports only what it may, by whatever kind of import, and depends on nothing else. It
 * reads names, not values: what one room hands another in a call is not its business.
 */
export async function checkBoundaries(root: string): Promise<readonly string[]> {
  const [files, workspaces] = await Promise.all([listFiles(root), listWorkspaces(root)])
  const code = files.filter((path) => /\.[cm]?[jt]sx?$/.test(path))
  const problems = await Promise.all(code.map((path) => checkFile(root, path)))
  return [...workspaces.flatMap(checkManifest), ...problems.flat()]
}

async function checkFile(root: string, path: string): Promise<string[]> {
  const text = await readFile(join(root, path), 'utf8')
  try {
    return findImports(path, text).flatMap((found) => {
      const problem = checkImport(path, found)
      return problem === undefined ? [] : [`${path}:${found.line}: ${problem}`]
    })
  } catch (error) {
    return [`${path}: ${error instanceof Error ? error.message : String(error)}`]
  }
}

function checkImport(path: string, found: FoundImport): string | undefined {
  const { specifier, isComputed } = found
  const foreign = checkForeign(path, specifier)
  if (foreign !== undefined) return foreign
  const place = placeOf(path)
  // Scripts put the rooms together.
  if (place === undefined) return undefined
  if (MAY_IMPORT[place.room] === undefined) return `${place.folder} has no row in MAY_IMPORT`
  if (specifier.startsWith('.')) return checkPath(place, specifier)
  if (specifier.startsWith(SCOPE)) return checkRoom(place, specifier.slice(SCOPE.length), found)
  if (/^(\/|#|file:|data:)/.test(specifier)) {
    return `imports ${quote(specifier)}: name a package, or a file by its relative path`
  }
  if (isComputed && specifier === '' && COMPUTED[path] === undefined) {
    return 'imports by a computed name, which nobody can check: write it out, or list the file in COMPUTED'
  }
  return undefined
}

function checkForeign(path: string, specifier: string): string | undefined {
  for (const [name, folders] of Object.entries(ONLY_IN)) {
    const isIt = specifier === name || specifier.startsWith(`${name}/`)
    if (isIt && !folders.some((folder) => path.startsWith(folder)))
      return `imports ${name}, which only ${folders.join(' and ')} may know`
  }
  return undefined
}

/** A relative path stays in its room. */
function checkPath(place: Place, specifier: string): string | undefined {
  const target = posix.join(posix.dirname(place.path), specifier)
  if (!`${target}/`.startsWith(`${place.folder}/`)) {
    return `reaches out of ${place.folder} by the path ${quote(specifier)}: import a package's name`
  }
  return checkPart(place, placeOf(target)?.part ?? place.room)
}

/** `room` is what follows the scope, `db` or `runtime/worker`. */
function checkRoom(place: Place, room: string, { isTypeOnly }: FoundImport): string | undefined {
  if (room === place.room || room.startsWith(`${place.room}/`)) return checkPart(place, room)
  const may = [
    ...new Set([
      ...(MAY_IMPORT[place.room] ?? []),
      ...(place.isTest
        ? [...TESTS_MAY_IMPORT, ...(TESTS_OF_ROOM_MAY_IMPORT[place.room] ?? [])]
        : []),
    ]),
  ]
  if (may.includes(room) || (isTypeOnly && may.includes(`${room} (types)`))) return undefined
  const who = place.isTest ? `a test of ${place.room}` : place.room
  return `imports ${quote(SCOPE + room)}: ${who} may import ${may.join(', ') || 'nothing of ours'}`
}

function checkPart(place: Place, part: string): string | undefined {
  const may = MAY_IMPORT_WITHIN[place.part]
  if (may === undefined || part === place.part || may.includes(part)) return undefined
  return `imports ${part}: ${place.part} may import ${may.join(', ') || 'nothing else of its package'}`
}

/** An entry that nobody imports yet is an open door. */
function checkManifest({ folder, room, manifest }: Workspace): string[] {
  const path = `${folder}/package.json`
  const may = MAY_IMPORT[room]
  if (may === undefined)
    return [`${folder} has no row in MAY_IMPORT of scripts/check/checkBoundaries.ts`]
  if (manifest.name !== SCOPE + room) return [`${path}: is to be named ${SCOPE}${room}`]
  const roomsOf = (names: readonly string[]) => names.map((name) => name.split(/[/ ]/)[0])
  const { devDependencies, dependencies, optionalDependencies, peerDependencies } = manifest
  const shipped = { ...dependencies, ...optionalDependencies, ...peerDependencies }
  const check = (entries: Record<string, string>, rooms: (string | undefined)[]) =>
    Object.entries(entries).flatMap(([name, version]) => {
      if (!name.startsWith(SCOPE)) {
        // An alias would hide one of ours behind another name.
        if (/^(workspace|link|file|portal):/.test(version))
          return [`${path}: ${name} is ${version}`]
        const problem = checkForeign(`${folder}/src/worker/`, name)
        return problem === undefined ? [] : [`${path}: ${problem}`]
      }
      if (version !== 'workspace:*')
        return [`${path}: ${name} is ${version} instead of workspace:*`]
      if (rooms.includes(name.slice(SCOPE.length))) return []
      return [`${path}: depends on ${name}, which ${room} may not import`]
    })
  return [
    ...check(shipped, roomsOf(may)),
    ...check(devDependencies ?? {}, roomsOf([...may, ...TESTS_MAY_IMPORT])),
  ]
}

function placeOf(path: string): Place | undefined {
  const [group = '', room = '', kind, section, ...rest] = path.split('/')
  if ((group !== 'packages' && group !== 'apps') || room === '') return undefined
  const hasPart =
    kind === 'src' && section !== undefined && (rest.length > 0 || !section.includes('.'))
  return {
    path,
    folder: `${group}/${room}`,
    room,
    part: hasPart ? `${room}/${section}` : room,
    isTest: kind === 'test',
  }
}

function quote(text: string): string {
  return `'${text}'`
}
