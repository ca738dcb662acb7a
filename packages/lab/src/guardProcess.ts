// Ends and removes what a bench that was killed left behind.
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { acquireEmbeddedPostgres } from '@roundsman/local-postgres'

/** What must not outlive the process that tells it, and what is already gone. */
export type GuardMessage =
  | { started: number }
  | { ended: number }
  /** The data folder of an embedded PostgreSQL. */
  | { server: string }
  | { folder: string }

const PATIENCE_MS = 10_000
const POLL_MS = 50

const processes = new Set<number>()
const servers = new Set<string>()
const folders = new Set<string>()

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const message = JSON.parse(line) as GuardMessage
    if ('started' in message) processes.add(message.started)
    if ('ended' in message) processes.delete(message.ended)
    if ('server' in message) servers.add(message.server)
    if ('folder' in message) folders.add(message.folder)
  })
  .once('close', () => void cleanUp().finally(() => process.exit(0)))

async function cleanUp(): Promise<void> {
  await endProcesses()
  for (const dataDir of servers) if (existsSync(dataDir)) await removeServer(dataDir)
  for (const folder of folders) await remove(folder)
}

/** Ends processes before their folders are removed: Redis does not end while it cannot save. */
async function endProcesses(): Promise<void> {
  for (const pid of processes) signal(pid, 'SIGTERM')
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += POLL_MS) {
    if (![...processes].some((pid) => signal(pid, 0))) return
    await pause(POLL_MS)
  }
  for (const pid of processes) signal(pid, 'SIGKILL')
}

/** Returns whether the process was there to get it. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}

/** Takes a lease on the server: giving the last lease back stops it. */
async function removeServer(dataDir: string): Promise<void> {
  const server = await acquireEmbeddedPostgres({ dataDir })
  await server.release()
  if (dirname(server.directory) !== dataDir) await remove(dirname(server.directory))
  await remove(dataDir)
}

async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
}
