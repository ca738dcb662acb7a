import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findFreePort } from '@roundsman/local-postgres'
import { startProgram } from '../../startProcess.ts'

export interface Redis {
  url: string
  version: string
  close(): Promise<void>
}

const PROGRAMS = ['redis-server', 'valkey-server']

/** Starts a Redis that persists with its defaults. Null when this machine has none. */
export async function startRedis(): Promise<Redis | null> {
  const program = await findProgram()
  if (program === null) return null
  const folder = await mkdtemp(join(tmpdir(), 'roundsman-redis-'))
  const port = await findFreePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder]
  const server = startProgram(program, args)
  const close = async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  try {
    const [, version = 'unknown'] = await server.line(/version=([\d.]+)/)
    await server.line(/Ready to accept connections/)
    return { url: `redis://127.0.0.1:${port}`, version, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function findProgram(): Promise<string | null> {
  for (const program of PROGRAMS) {
    const isHere = await promisify(execFile)(program, ['--version']).then(
      () => true,
      () => false,
    )
    if (isHere) return program
  }
  return null
}
