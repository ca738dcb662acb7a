import { afterAll, inject } from 'vitest'
import { withAdmin } from './adminConnection.ts'
import { findProblems, madeDatabases } from './madeDatabases.ts'

/** What keeps a process alive, but for pipes, by which the test runner talks to it. */
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

/** What was closed may take a moment to be gone. */
const PATIENCE_MS = 3_000
const LOOK_EVERY_MS = 25

/**
 * Asserts after each test file that it has left nothing behind: what stays in a test stays in production, once for each
 * run. As vitest's setup file it is the first to register, and so the last to be called.
 */
const before = { resources: countResources(), listeners: countListeners() }

afterAll(async () => {
  let left = findLeft()
  for (const deadline = Date.now() + PATIENCE_MS; left.length > 0 && Date.now() < deadline;) {
    await pauseUnseen(LOOK_EVERY_MS)
    left = findLeft()
  }
  left.push(...(await findLeftInDatabases()))
  if (left.length > 0) {
    throw new Error(`The tests of this file have left behind:\n${left.join('\n')}`)
  }
})

function findLeft(): string[] {
  const resources = countResources()
  const listeners = countListeners()
  const more = (now: ReadonlyMap<string, number>, then: ReadonlyMap<string, number>) =>
    [...now].flatMap(([name, count]) => {
      const added = count - (then.get(name) ?? 0)
      return added > 0 ? [[name, added] as const] : []
    })
  return [
    ...more(resources, before.resources).map(
      ([kind, added]) => `- ${added} ${KINDS[kind]} that nobody has closed`,
    ),
    ...more(listeners, before.listeners).map(
      ([event, added]) => `- ${added} listeners for '${event}' on process`,
    ),
  ]
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
  if (names.length === 0) return [...findProblems()]
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
    ...findProblems(),
    ...rows.map(
      ({ name, users }) =>
        `- the database ${name}, with ${users.length} connections: ${users.join(', ')}`,
    ),
  ]
}

/** By a timer that is not among those that are looked for. */
function pauseUnseen(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref())
}
