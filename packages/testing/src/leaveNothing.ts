import { afterAll, beforeAll, expect, inject } from 'vitest'
import { madeDatabases, problems } from './madeDatabases.ts'
import { killRunning } from './spawnProcess.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** A pattern of the paths of test files that must leave nothing behind. */
    leavesNothing: string
  }
}

/** What keeps a process alive, except pipes, by which the test runner talks to it. */
const KINDS: Readonly<Record<string, string>> = {
  Timeout: 'timers',
  Immediate: 'immediates',
  TCPSocketWrap: 'sockets',
  TCPServerWrap: 'servers',
  TLSWrap: 'TLS sockets',
  ProcessWrap: 'child processes',
  FSEventWrap: 'watched files',
  Worker: 'threads',
}

/** What was closed may take a moment to be gone, on a busy machine longer. A file that left nothing does not wait. */
const PATIENCE_MS = 10_000
const LOOK_EVERY_MS = 25

/** Loggers add one listener for the whole process, when the first logger is made. */
const ONCE_PER_PROCESS: ReadonlySet<string> = new Set(['exit', 'beforeExit'])

/**
 * Asserts after each test file that it left nothing behind: what a test leaves, production leaves once for each run. vitest
 * loads this setup file first, so that its afterAll is called last.
 */
const resourcesBefore = countResources()
let listenersBefore: ReadonlyMap<string, number> = new Map()

// Test files share a process, and with it these sets: findings must be this file's own.
madeDatabases.clear()
problems.length = 0

if (new RegExp(inject('leavesNothing')).test(expect.getState().testPath ?? '')) {
  // Counted once everything is loaded: some libraries listen for as long as the process lives.
  beforeAll(() => void (listenersBefore = countListeners()))
  afterAll(assertNothingLeft)
}
afterAll(killRunning)

async function assertNothingLeft(): Promise<void> {
  let left = findLeft()
  for (
    const deadline = performance.now() + PATIENCE_MS;
    left.length > 0 && performance.now() < deadline;
  ) {
    await pauseUnseen(LOOK_EVERY_MS)
    left = findLeft()
  }
  left.push(...(await findLeftInDatabases()))
  if (left.length > 0) {
    throw new Error(`The tests of this file have left behind:\n${left.join('\n')}`)
  }
}

function findLeft(): string[] {
  const resources = [...countResources()].map(
    ([kind, count]) => [count - (resourcesBefore.get(kind) ?? 0), KINDS[kind]] as const,
  )
  const listeners = [...countListeners()].map(([event, count]) => {
    const before = (listenersBefore.get(event) ?? 0) + (ONCE_PER_PROCESS.has(event) ? 1 : 0)
    return [count - before, `listeners for '${event}' on process`] as const
  })
  return [...resources, ...listeners].flatMap(([added, what]) =>
    added > 0 ? [`- ${added} ${what} that nobody has closed`] : [],
  )
}

function countResources(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) {
    if (kind in KINDS) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return counts
}

function countListeners(): Map<string, number> {
  return new Map(process.eventNames().map((name) => [String(name), process.listenerCount(name)]))
}

async function findLeftInDatabases(): Promise<string[]> {
  const names = [...madeDatabases]
  if (names.length === 0) return [...problems]
  // Imported only here: a file that needs no database would pay more for its driver than for all else in this one.
  const { withAdmin } = await import('./adminConnection.ts')
  const { adminUrl } = inject('testServer')
  const rows = await withAdmin(adminUrl, async (client) => {
    const found = await client.query<{ name: string; users: string[] }>(
      `select database.datname as name,
         array(select application_name from pg_stat_activity where datname = database.datname) as users
       from pg_database database where datname = any($1)`,
      [names],
    )
    return found.rows
  })
  return [
    ...problems,
    ...rows.map(
      ({ name, users }) =>
        `- the database ${name}, with ${users.length} connections: ${users.join(', ')}`,
    ),
  ]
}

/** Its timer is none of those that findLeft looks for. */
function pauseUnseen(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref())
}
