// Ends and removes what a bench that was killed has left behind.
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { acquireEmbeddedPostgres } from '@roundsman/db'
import type { GuardMessage } from './guard.ts'

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
  for (const pid of processes) {
    try {
      process.kill(pid, 'SIGTERM')
    } catch {
      // It has ended in the meantime.
    }
  }
  for (const dataDir of servers) if (existsSync(dataDir)) await removeServer(dataDir)
  for (const folder of folders) await remove(folder)
}

/** Whoever holds it last stops it. */
async function removeServer(dataDir: string): Promise<void> {
  const server = await acquireEmbeddedPostgres({ dataDir })
  await server.release()
  if (dirname(server.directory) !== dataDir) await remove(server.directory)
  await remove(dataDir)
}

async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
}
