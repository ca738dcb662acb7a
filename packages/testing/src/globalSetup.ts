import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { migrate } from '@roundsman/db'
import { migrate as migrateEngine } from '@roundsman/engine/migrate'
import { pino } from 'pino'
import type { TestProject } from 'vitest/node'
import { createDatabase, dropDatabase, withAdmin, type CopyStrategy } from './adminConnection.ts'
import { makeServerFolder } from './makeServerFolder.ts'
import { NOT_DURABLE, openThrowawayPostgres } from './openThrowawayPostgres.ts'

export interface TestServer {
  /** A database from which others can be created and dropped. */
  adminUrl: string
  /** The beginning of the names of this run's databases. */
  prefix: string
  /** A database with all migrations and the queue's tables, and without any queue. Most databases are copies of it. */
  template: string
  /** The same without the queue's tables. */
  templateWithoutQueue: string
  /** Copying files is faster, but forces a checkpoint, for which a durable server waits. */
  copies: CopyStrategy
  /** Of the throwaway server. */
  postmasterPid: number | null
}

declare module 'vitest' {
  export interface ProvidedContext {
    testServer: TestServer
  }
}

/**
 * One throwaway PostgreSQL for the whole run, or databases of our own on the server that DATABASE_URL names. The migrations
 * run once, into templates.
 */
export default async function globalSetup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env['DATABASE_URL']
  const server = given
    ? { url: given, postmasterPid: null, stop: async () => undefined }
    : await startThrowawayServer()
  const prefix = `roundsman_test_${randomBytes(4).toString('hex')}_`
  const testServer: TestServer = {
    adminUrl: server.url,
    prefix,
    template: `${prefix}template`,
    templateWithoutQueue: `${prefix}template_without_queue`,
    copies: given ? 'wal_log' : 'file_copy',
    postmasterPid: server.postmasterPid,
  }
  const tearDown = async () => {
    try {
      if (given) await dropAll(testServer)
    } finally {
      await server.stop()
    }
  }
  try {
    await makeTemplates(testServer)
  } catch (error) {
    await tearDown()
    throw error
  }
  project.provide('testServer', testServer)
  return tearDown
}

async function startThrowawayServer() {
  const postgres = await openThrowawayPostgres({
    dataDir: await makeServerFolder('roundsman-test-'),
    settings: {
      ...NOT_DURABLE,
      // The files are in memory: handing a read to another process would take longer than the read.
      io_method: 'sync',
      // Nobody is to wait for its locks, nor to find other plans because it came by: tests say "analyze" and "vacuum".
      autovacuum_naptime: '2147483',
      update_process_title: 'off',
      bgwriter_lru_maxpages: '0',
      max_connections: '300',
    },
  })
  const [pid] = (await readFile(join(postgres.directory, 'data/postmaster.pid'), 'utf8')).split(
    '\n',
  )
  return { url: postgres.url, postmasterPid: Number(pid), stop: postgres.release }
}

async function makeTemplates(testServer: TestServer): Promise<void> {
  const { adminUrl, template, templateWithoutQueue, copies } = testServer
  await migrate(await createDatabase(adminUrl, templateWithoutQueue))
  await closeTemplate(adminUrl, templateWithoutQueue)
  const databaseUrl = await createDatabase(adminUrl, template, {
    template: templateWithoutQueue,
    copies,
  })
  await migrateEngine({ schema: 'public', databaseUrl, log: pino({ level: 'silent' }) })
  await closeTemplate(adminUrl, template)
}

/** PostgreSQL refuses to copy a database to which anybody is connected. */
async function closeTemplate(adminUrl: string, template: string): Promise<void> {
  await withAdmin(adminUrl, async (client) => {
    await client.query(`alter database "${template}" with allow_connections false`)
    await client.query(
      'select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1',
      [template],
    )
  })
}

async function dropAll({ adminUrl, prefix }: TestServer): Promise<void> {
  const names = await withAdmin(adminUrl, async (client) => {
    const { rows } = await client.query<{ datname: string }>(
      'select datname from pg_database where starts_with(datname, $1)',
      [prefix],
    )
    return rows.map((row) => row.datname)
  })
  for (const name of names) await dropDatabase(adminUrl, name)
}
