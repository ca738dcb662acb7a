import { posix } from 'node:path'
import { findImports, type FoundImport } from './findImports.ts'
import {
  linesThatCheckArguments,
  linesThatNameFormerQueue,
  reachesIntoPackage,
} from './checkHouse.ts'
import type { Workspace } from './listWorkspaces.ts'
import type { Code } from './readCode.ts'

/**
 * Which of our packages a room (a folder of packages or apps) may import. What is not listed is forbidden, and a name
 * opens that entry only: `engine/client` opens neither `engine` nor `engine/worker`. Scripts may import every package.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  admin: ['engine', 'engine/client', 'engine/internal'],
  alerts: ['db', 'engine', 'engine/alerts', 'engine/client', 'jobs', 'node-app'],
  db: ['local-postgres', 'engine/client', 'engine/internal'],
  'local-postgres': [],
  billing: [],
  cli: ['engine', 'engine/client', 'engine/internal', 'engine/migrate', 'engine/worker', 'admin'],
  engine: [],
  fastify: ['admin', 'admin/http', 'admin/internal', 'engine', 'engine/client', 'engine/internal'],
  'node-app': ['engine (types)', 'engine/worker (types)'],
  jobs: ['engine'],
  sweep: ['engine', 'engine/internal'],
  testing: ['db', 'local-postgres', 'engine', 'engine/client', 'engine/migrate'],
  api: [
    'alerts',
    'db',
    'billing',
    'node-app',
    'node-app/telemetry',
    'jobs',
    'jobs/demo',
    'jobs/hooks',
    'engine/client',
    'engine/metrics',
    'engine',
    'admin',
    'admin/http',
    'fastify',
    'fastify/http',
  ],
  worker: [
    'alerts',
    'db',
    'billing',
    'node-app',
    'node-app/giveBackMemory',
    'node-app/telemetry',
    'jobs',
    'jobs/demo',
    'jobs/hooks',
    'sweep',
    'engine/client',
    'engine/migrate',
    'engine/metrics',
    'engine/worker',
    'engine',
    'cli/commands',
  ],
  console: ['admin/contract (types)'],
  lab: [
    'db',
    'local-postgres',
    'local-postgres/server',
    'node-app',
    'node-app/giveBackMemory',
    'testing',
    'testing/hostileNumbers',
    'testing/hostileOutcomes',
    'testing/hostileValues',
    'testing/readCommit',
    'jobs',
    'engine',
    'engine/client',
    'engine/internal',
    'engine/migrate',
    'engine/testing',
    'engine/worker',
    'admin',
  ],
}

/** What tests may import besides what their room may, and the room itself. With the client a test plays a producer. */
const TESTS_MAY_IMPORT = [
  'testing',
  'testing/hostileNumbers',
  'testing/hostileOutcomes',
  'testing/hostileValues',
  'testing/openHost',
  'testing/openTestDatabase',
  'db',
  'local-postgres',
  'engine/client',
  'engine/internal',
  'engine/migrate',
]

/** The same for one room: tests of what is shown need workers to look at. */
const TESTS_OF_ROOM_MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  admin: ['engine/testing', 'engine/worker'],
  api: ['engine/alerts', 'engine/worker', 'admin/contract'],
  fastify: ['engine/worker'],
  // The black-box cases use all that users have.
  lab: ['engine/alerts', 'engine/metrics', 'fastify'],
}

/** The folders of the engine, from the bottom up. A folder imports values only from folders before it; types from any. */
const ENGINE_FLOORS = [
  'values',
  'arguments',
  'job',
  'database',
  'queue',
  'tables',
  'tick',
  'read',
  'control',
  'judge',
  'alerts',
  'metrics',
  'client',
  'run',
  'steps',
  'isolation',
  'work',
  'liveness',
  'worker',
  'testing',
].map((folder) => `engine/${folder}`)

/** Admin API and plugin must not load these: they use the engine's contract and client only, and the client's database. */
const FOREIGN_TO_ADMIN = ['@roundsman/engine/worker', 'node-cron', 'pg', 'pino']

/** What executes. Client and alerts only read, wherever they run. */
const EXECUTES = [
  'node-cron',
  'packages/engine/src/tick/scheduler.ts',
  'packages/engine/src/isolation/',
  'packages/engine/src/run/',
  'packages/engine/src/work/',
  'packages/engine/src/worker/',
]

/** What an entry must not load, by no detour: the API imports the client, and must not get a scheduler with it. */
const MUST_NOT_REACH: Readonly<Record<string, readonly string[]>> = {
  'packages/engine/src/index.ts': [
    'node-cron',
    'pg',
    'packages/engine/src/control/',
    'packages/engine/src/liveness/',
    'packages/engine/src/read/',
    'packages/engine/src/run/',
    'packages/engine/src/database/',
    'packages/engine/src/queue/',
    'packages/engine/src/tables/',
    'packages/engine/src/work/',
    'packages/engine/src/worker/',
  ],
  'packages/engine/src/metrics.ts': [
    'node-cron',
    'pg',
    'prom-client',
    'packages/engine/src/liveness/',
    'packages/engine/src/database/',
    'packages/engine/src/queue/',
    'packages/engine/src/tables/',
  ],
  'packages/engine/src/alerts.ts': EXECUTES,
  'packages/engine/src/client.ts': EXECUTES,
  'packages/engine/src/internal.ts': EXECUTES,
  'packages/admin/src/index.ts': [...FOREIGN_TO_ADMIN, 'fastify'],
  'packages/admin/src/http.ts': [...FOREIGN_TO_ADMIN, 'fastify'],
  'packages/fastify/src/index.ts': FOREIGN_TO_ADMIN,
  'packages/fastify/src/http.ts': FOREIGN_TO_ADMIN,
}

/** Foreign packages that only these folders may know. */
const ONLY_IN: Readonly<Record<string, readonly [string, ...string[]]>> = {
  // The engine is measured against it, and imports from it.
  'pg-boss': ['packages/lab/src/bench/', 'packages/lab/test/bench/', 'packages/cli/test/import/'],
  'node-cron': ['packages/engine/src/tick/'],
}

/** Files that may import by a computed name, and what they import. */
const COMPUTED: Readonly<Record<string, string>> = {
  'packages/cli/src/check/checkCommand.ts': 'the files of the catalogue',
  'packages/cli/src/dev/localDatabase.ts': "the PostgreSQL among the product's devDependencies",
  'packages/engine/src/isolation/childProcess.ts': 'the handlers that the worker names',
  'packages/local-postgres/src/prepareBinaries.ts': "PostgreSQL's programs for this platform",
}

const SCOPE = '@roundsman/'
/** Rooms whose package is not called `@roundsman/<room>`. */
const NAMES: Readonly<Record<string, string>> = { cli: 'roundsman' }

/** The parts of a path in a room. */
interface Place {
  path: string
  /** `packages/engine` */
  folder: string
  /** `engine` */
  room: string
  /** `engine/run` for what is below packages/engine/src/run, `engine/client.ts` for that file; else the room. */
  part: string
  isTest: boolean
}

/**
 * Reports each import that a room may not make, by whatever kind of import, and each dependency that it may not have.
 * It reads names only: what a room hands to another in a call is not checked.
 */
export function checkBoundaries({ files, workspaces }: Code): readonly string[] {
  const imports = new Map<string, readonly FoundImport[]>()
  const problems = [...files].flatMap(([path, text]) => checkFile(path, text, imports))
  return [...workspaces.flatMap(checkManifest), ...problems, ...checkReach(imports)]
}

function checkFile(
  path: string,
  text: string,
  imports: Map<string, readonly FoundImport[]>,
): string[] {
  try {
    const found = findImports(path, text)
    imports.set(path, found)
    const problems = found.flatMap((one) => {
      const problem = checkImport(path, one)
      return problem === undefined ? [] : [{ line: one.line, problem }]
    })
    const named = linesThatNameFormerQueue(path, text)
      .filter((line) => !problems.some((one) => one.line === line))
      .map((line) => ({ line, problem: FORMER_QUEUE_NAMED }))
    const checks = linesThatCheckArguments(path, text).map((line) => ({
      line,
      problem: ARGUMENTS_CHECKED,
    }))
    return [...problems, ...named, ...checks].map(
      ({ line, problem }) => `${path}:${line}: ${problem}`,
    )
  } catch (error) {
    return [`${path}: ${error instanceof Error ? error.message : String(error)}`]
  }
}

const ARGUMENTS_CHECKED =
  'checks arguments: have packages/engine/src/arguments/ do it, or the file of tables of its package'
const FORMER_QUEUE_NAMED =
  'names pg-boss, which only the bench and the import know: say "the queue"'

/** Follows imports from each entry, and reports the way to what it must not load. */
function checkReach(imports: ReadonlyMap<string, readonly FoundImport[]>): string[] {
  return Object.entries(MUST_NOT_REACH).flatMap(([entry, forbidden]) => {
    const ways = new Map([[entry, entry]])
    for (const [path, way] of ways) {
      for (const { specifier, isTypeOnly } of imports.get(path) ?? []) {
        if (isTypeOnly) continue
        const target = specifier.startsWith('.')
          ? posix.join(posix.dirname(path), specifier)
          : specifier
        if (!ways.has(target)) ways.set(target, `${way} → ${target}`)
      }
    }
    return [...ways].flatMap(([target, way]) =>
      forbidden.some((one) => (one.endsWith('/') ? target.startsWith(one) : target === one))
        ? [`${entry}:1: reaches ${target} (${way}): import its types only, or move what both need`]
        : [],
    )
  })
}

/** The problem with an import; undefined when the file may make it. */
function checkImport(path: string, found: FoundImport): string | undefined {
  const { specifier, isComputed } = found
  const foreign = checkForeign(path, specifier)
  if (foreign !== undefined) return foreign
  const place = placeOf(path)
  // Scripts and end-to-end tests put the rooms together, each by its name. Tests of scripts may import inside a room.
  if (place === undefined) {
    if (path.startsWith('scripts/test/') || !reachesIntoPackage(path, specifier)) return undefined
    return (
      `reaches into a package by the path ${quote(specifier)}: import it by its name, have its entry export what ` +
      'is missing, and the package.json above depend on it'
    )
  }
  if (MAY_IMPORT[place.room] === undefined) return `${place.folder} has no row in MAY_IMPORT`
  if (specifier.startsWith('.')) return checkPath(place, found)
  const room = roomOf(specifier)
  if (room !== undefined) return checkRoom(place, room, found)
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

/** Checks a relative path: it must stay in its room. */
function checkPath(place: Place, { specifier, isTypeOnly }: FoundImport): string | undefined {
  const target = posix.join(posix.dirname(place.path), specifier)
  if (!`${target}/`.startsWith(`${place.folder}/`)) {
    return `reaches out of ${place.folder} by the path ${quote(specifier)}: import a package's name`
  }
  return checkPart(place, placeOf(target)?.part ?? place.room, isTypeOnly)
}

/** Checks an import of one of our packages. `room` is what follows the scope, `db` or `engine/worker`. */
function checkRoom(place: Place, room: string, { isTypeOnly }: FoundImport): string | undefined {
  if (room === place.room || room.startsWith(`${place.room}/`))
    return checkPart(place, room, isTypeOnly)
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
  return `imports ${quote(nameOf(room))}: ${who} may import ${may.join(', ') || 'nothing of ours'}`
}

/** Checks an import within a package. */
function checkPart(place: Place, part: string, isTypeOnly: boolean): string | undefined {
  const floor = ENGINE_FLOORS.indexOf(place.part)
  if (floor < 0 || part === place.part || isTypeOnly) return undefined
  const target = ENGINE_FLOORS.indexOf(part)
  if (target >= 0 && target < floor) return undefined
  return `imports ${part}: ${place.part} may import values of ${ENGINE_FLOORS.slice(0, floor).join(', ') || 'no other folder'}`
}

/** Checks a package.json. A dependency is a problem even while nobody imports it: it opens the door. */
function checkManifest({ folder, room, manifest }: Workspace): string[] {
  const path = `${folder}/package.json`
  const may = MAY_IMPORT[room]
  if (may === undefined)
    return [`${folder} has no row in MAY_IMPORT of scripts/check/checkBoundaries.ts`]
  if (manifest.name !== nameOf(room)) return [`${path}: is to be named ${nameOf(room)}`]
  const roomsOf = (names: readonly string[]) => names.map((name) => name.split(/[/ ]/)[0])
  const { devDependencies, dependencies, optionalDependencies, peerDependencies } = manifest
  const shipped = { ...dependencies, ...optionalDependencies, ...peerDependencies }
  const check = (entries: Record<string, string>, rooms: (string | undefined)[]) =>
    Object.entries(entries).flatMap(([name, version]) => {
      const dependency = roomOf(name)
      if (dependency === undefined) {
        // An alias would hide one of our packages behind another name.
        if (/^(workspace|link|file|portal):/.test(version))
          return [`${path}: ${name} is ${version}`]
        const folders = ONLY_IN[name]
        return folders === undefined || folders.some((one) => one.startsWith(`${folder}/`))
          ? []
          : [`${path}: depends on ${name}, which only ${folders.join(' and ')} may know`]
      }
      if (version !== 'workspace:*')
        return [`${path}: ${name} is ${version} instead of workspace:*`]
      if (rooms.includes(dependency)) return []
      return [`${path}: depends on ${name}, which ${room} may not import`]
    })
  return [
    ...check(shipped, roomsOf(may)),
    ...check(
      devDependencies ?? {},
      roomsOf([...may, ...TESTS_MAY_IMPORT, ...(TESTS_OF_ROOM_MAY_IMPORT[room] ?? [])]),
    ),
  ]
}

/** `engine/worker` for `@roundsman/engine/worker`; undefined for foreign packages. */
function roomOf(specifier: string): string | undefined {
  if (specifier.startsWith(SCOPE)) return specifier.slice(SCOPE.length)
  for (const [room, name] of Object.entries(NAMES)) {
    if (specifier === name || specifier.startsWith(`${name}/`)) {
      return room + specifier.slice(name.length)
    }
  }
  return undefined
}

function nameOf(way: string): string {
  const [room = '', ...entry] = way.split('/')
  return [NAMES[room] ?? SCOPE + room, ...entry].join('/')
}

/** Takes a path apart; undefined for a file outside the rooms. */
function placeOf(path: string): Place | undefined {
  const [group = '', room = '', kind, section] = path.split('/')
  if ((group !== 'packages' && group !== 'apps') || room === '') return undefined
  // End-to-end tests put the rooms together, as scripts do.
  if (kind === 'e2e') return undefined
  const isOfSource = kind === 'src' && section !== undefined
  return {
    path,
    folder: `${group}/${room}`,
    room,
    part: isOfSource ? `${room}/${section}` : room,
    isTest: kind === 'test',
  }
}

function quote(text: string): string {
  return `'${text}'`
}
