// Processes: starts PostgreSQLs beside each other.
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { acquireEmbeddedPostgres, type EmbeddedPostgres } from '@roundsman/local-postgres'
import { makeServerFolder } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/store/database.ts'
import { createSchema } from '../../src/store/schema.ts'
import { openProxyTo } from '../openProxyTo.ts'

/** As pools have it, but soon. No answer is given up by a time-out. */
const SOON = { askAfterMs: 50, answerTimeoutMs: null, statementTimeoutMs: null }

const run = promisify(execFile)
const folders: string[] = []
let primary: EmbeddedPostgres
let servers: Record<'standby' | 'successor', EmbeddedPostgres>

const makeFolder = async () => {
  const folder = await makeServerFolder('roundsman-inquiry-')
  folders.push(folder)
  return folder
}
const start = (dataDir: string) => acquireEmbeddedPostgres({ dataDir, settings: { fsync: 'off' } })

/** A copy of a server that was stopped, with the same owner. */
async function copy(dataDir: string): Promise<string> {
  const made = await makeFolder()
  await run('cp', ['-a', join(dataDir, 'postgres'), made])
  return made
}

beforeAll(async () => {
  const first = await makeFolder()
  await (await start(first)).release()
  const [followed, next] = [await copy(first), await copy(first)]
  const data = join(followed, 'postgres', 'data')
  await run('cp', ['-a', join(data, 'PG_VERSION'), join(data, 'standby.signal')])
  primary = await start(first)
  servers = {
    standby: await start(followed),
    successor: await start(next),
  }
}, 120_000)

afterAll(async () => {
  for (const server of [primary, ...Object.values(servers)]) await server.release()
  for (const folder of folders) await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

/** Has a pool send a statement to the primary, while its new connections lead to another server. */
async function askBehind(
  other: EmbeddedPostgres,
  text: string,
  isForgotten: boolean,
): Promise<{ answer: Promise<unknown>; lines: string[]; close(): Promise<void> }> {
  const lines: string[] = []
  const { proxy, url } = await openProxyTo(primary.url)
  const database = openDatabase({
    schema: createSchema('public'),
    url,
    applicationName: 'balanced',
    log: { warn: (...line: unknown[]) => void lines.push(String(line[1])) },
    ...SOON,
  })
  await database.query('select 1')
  if (isForgotten) proxy.forget()
  proxy.retarget(Number(new URL(other.url).port))
  return {
    answer: database.query(text),
    lines,
    async close() {
      await database.close()
      proxy.close()
    },
  }
}

describe('a statement without an answer, where new connections lead to another server', () => {
  it('is waited for where that is a standby, which cannot tell whether the primary is at work on it', async () => {
    const { answer, lines, close } = await askBehind(
      servers.standby,
      'select 1 as n from pg_sleep(1)',
      false,
    )
    try {
      await expect(answer).resolves.toMatchObject({ rows: [{ n: 1 }] })
      expect(lines).toEqual([])
    } finally {
      await close()
    }
  })

  it('is given up where that is a primary that has taken over from the first', async () => {
    const { answer, lines, close } = await askBehind(servers.successor, 'select 1', true)
    try {
      await expect(answer).rejects.toThrow(/terminated/)
      expect(lines).toEqual([expect.stringContaining('lost their other end')])
    } finally {
      await close()
    }
  })
})
