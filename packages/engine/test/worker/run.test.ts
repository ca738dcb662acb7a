// Not quick: starts processes.
import { join } from 'node:path'
import { createTestDatabase, spawnProcess, waitFor } from '@roundsman/testing'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { migrate } from '../../src/migrate.ts'
import { run } from '../../src/worker.ts'

const PROGRAM = join(import.meta.dirname, '../fixtures/helloProcess.ts')

async function openDatabase() {
  const database = await createTestDatabase({ migrated: false })
  onTestFinished(database.drop)
  return database.url
}

it('migrates, runs handlers in transactions of its own pool, and resolves after SIGTERM with nothing left open', async () => {
  const url = await openDatabase()
  const hello = spawnProcess(PROGRAM, { args: [url, 'migrate'] })

  await hello.waitForLine('said hello')

  // It ends because nothing is open, and not by exit().
  expect(await hello.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  expect(hello.stdout.at(-1)).toBe('stopped')
  expect(hello.stdout.filter((line) => line.startsWith('Jobs scheduler'))).toEqual([
    expect.stringMatching(/^Jobs scheduler enabled/),
    expect.stringMatching(/^Jobs scheduler stopped/),
  ])
  const client = new pg.Client(url)
  await client.connect()
  const { rows } = await client.query(
    `select details from roundsman."JobRun" where name = 'hello' and status = 'success' limit 1`,
  )
  await client.end()
  expect(rows).toEqual([{ details: { two: 2, batches: 1 } }])
})

it('resolves after SIGTERM while the worker starts', async () => {
  const url = await openDatabase()
  await migrate({ databaseUrl: url })
  const client = new pg.Client(url)
  await client.connect()
  onTestFinished(() => client.end())
  await client.query('begin; lock table roundsman."JobWorker" in exclusive mode')
  const hello = spawnProcess(PROGRAM, { args: [url] })
  await waitFor(async () => {
    // Others use the same server.
    const { rows } = await client.query(
      `select from pg_locks where not granted and relation = 'roundsman."JobWorker"'::regclass
         and database = (select oid from pg_database where datname = current_database())`,
    )
    return rows.length > 0
  })

  const exited = hello.kill('SIGTERM')
  await client.query('rollback')
  expect(await exited, hello.stderr.join('\n')).toEqual({ code: 0, signal: null })
  expect(hello.stdout.at(-1)).toBe('stopped')
})

it('rejects without the tables, names the command, and closes its pool', async () => {
  const hello = spawnProcess(PROGRAM, { args: [await openDatabase()] })
  expect(await hello.exited).toMatchObject({ code: 1 })
  expect(hello.stderr.join('\n')).toContain('run npx roundsman migrate')
})

it.each([
  ['is away', (url: URL) => (url.port = '1'), /nothing listens at [^ ]+:1; start the database/],
  [
    'refuses the role',
    (url: URL) => (url.username = 'nobodyHere'),
    /[^ ]+:\d+ refuses the role nobodyHere/,
  ],
  [
    'is not there',
    (url: URL) => (url.pathname = '/nowhere'),
    /no database "nowhere" at [^ ]+:\d+; create it/,
  ],
])('prints one line and ends with 1 when the database %s', async (_what, change, problem) => {
  const url = new URL(await openDatabase())
  change(url)
  for (const mode of ['start', 'migrate']) {
    const hello = spawnProcess(PROGRAM, { args: [url.href, mode] })
    expect(await hello.exited).toMatchObject({ code: 1 })
    const lines = hello.stderr.filter((line) => line.includes('Error: The database: '))
    expect(lines).toEqual([expect.stringMatching(problem)])
    expect(hello.stderr.filter((line) => /^ +at |node_modules/.test(line))).toEqual([])
  }
})

it('rejects what start rejects, and leaves no listener behind', async () => {
  const before = process.listenerCount('SIGTERM')
  const nothing = defineJob({ name: 'nothing' })
  const handlers = { nothing: async () => undefined }
  const databaseUrl = 'postgres://127.0.0.1:1/none'
  await expect(run({ databaseUrl, jobs: [nothing], handlers })).rejects.toMatchObject({
    code: 'ECONNREFUSED',
    message: expect.stringContaining('nothing listens at 127.0.0.1:1'),
  })
  expect(process.listenerCount('SIGTERM')).toBe(before)
})
