import type pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, inject, type TestContext } from 'vitest'
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
/** Opened by the first test that has a database. */
let admin: pg.Client | undefined

// Test files share a process, and with it these sets: findings must be this file's own.
madeDatabases.clear()
problems.length = 0

if (new RegExp(inject('leavesNothing')).test(expect.getState().testPath ?? '')) {
  // Counted once everything is loaded: some libraries listen for as long as the process lives.
  beforeAll(() => void (listenersBefore = countListeners()))
  afterAll(assertNothingLeft)
  // Called first.
  afterAll(() => admin?.end())
  afterEach(assertNobodyIdles)
}
afterAll(killRunning)

async function assertNothingLeft(): Promise<void> {
  const left = await lookPatiently(findLeft)
  left.push(...(await findLeftInDatabases()))
  if (left.length > 0) {
    throw new Error(`The tests of this file have left behind:\n${left.join('\n')}`)
  }
}

/**
 * Asserts after each test that no connection of its databases is in a transaction that nobody goes on with: it holds its locks
 * and keeps PostgreSQL from cleaning up. Tests that run beside each other may be in the middle of theirs.
 */
async function assertNobodyIdles({ task }: TestContext): Promise<void> {
  if (madeDatabases.size === 0 || task.concurrent) return
  const { connectAdmin } = await import('./adminConnection.ts')
  const client = (admin ??= await connectAdmin(inject('testServer').adminUrl))
  const idling = await lookPatiently(async () => {
    const { rows } = await client.query<{ user: string; query: string }>(
      `select application_name as user, query from pg_stat_activity
       where datname = any($1) and state like 'idle in transaction%'`,
      [[...madeDatabases]],
    )
    return rows.map(({ user, query }) => `- ${user}, after: ${query.trim()}`)
  })
  if (idling.length > 0) {
    throw new Error(`This test has left connections in a transaction:\n${idling.join('\n')}`)
  }
}

/** Looks until nothing is found, or patience ends. */
async function lookPatiently(look: () => string[] | Promise<string[]>): Promise<string[]> {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    const found = await look()
    if (found.length === 0 || performance.now() >= deadline) return found
    await pauseUnseen(LOOK_EVERY_MS)
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
