// Not quick: starts processes.
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate } from '@roundsman/db'
import { acquireEmbeddedPostgres } from '@roundsman/local-postgres'
import { listWorkers } from '@roundsman/engine/client'
import { migrate as migrateEngine } from '@roundsman/engine/migrate'
import { createTestDatabase } from '@roundsman/testing'
import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { lookIntoDatabase } from '../../src/command/lookIntoDatabase.ts'

function makeDataDir(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'roundsman-look-'))
  // As root, PostgreSQL runs under another account.
  chmodSync(dataDir, 0o755)
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }))
  return dataDir
}

it('finds what is there', async () => {
  const { url, drop } = await createTestDatabase()
  onTestFinished(drop)

  expect(await lookIntoDatabase({ DATABASE_URL: url, DATA_DIR: '' }, listWorkers)).toEqual({
    found: [],
    reason: null,
  })
})

it('says why it can not look, and never throws', async () => {
  const look = () => Promise.reject(new Error('no luck'))
  const { url, drop } = await createTestDatabase({ migrated: false })
  const migrated = await createTestDatabase()
  onTestFinished(() => Promise.all([drop(), migrated.drop()]).then(() => undefined))

  expect(
    await lookIntoDatabase({ DATABASE_URL: 'postgresql://127.0.0.1:1/x', DATA_DIR: '' }, look),
  ).toMatchObject({
    found: null,
    reason: expect.stringContaining('nothing listens at 127.0.0.1:1'),
  })
  expect(await lookIntoDatabase({ DATABASE_URL: url, DATA_DIR: '' }, look)).toMatchObject({
    reason: expect.stringMatching(/^the database lacks .*; apply them with pnpm db:migrate$/),
  })
  expect(await lookIntoDatabase({ DATABASE_URL: migrated.url, DATA_DIR: '' }, look)).toEqual({
    found: null,
    reason: 'no luck',
  })
})

it('makes no embedded database, and looks into one that is there without leaving it running', async () => {
  const dataDir = makeDataDir()
  const look = () => lookIntoDatabase({ DATA_DIR: dataDir }, listWorkers)

  expect(await look()).toEqual({
    found: null,
    reason: 'DATABASE_URL is not set, and there is no embedded database yet',
  })
  expect(existsSync(join(dataDir, 'postgres'))).toBe(false)

  const { url, release } = await acquireEmbeddedPostgres({ dataDir })
  await migrate(url)
  await migrateEngine({
    schema: 'public',
    databaseUrl: url,
    jobs: [],
    log: pino({ level: 'silent' }),
  })
  await release()
  expect(await look()).toEqual({ found: [], reason: null })
  expect(existsSync(join(dataDir, 'postgres/postmaster.pid'))).toBe(false)
  expect(existsSync(join(dataDir, 'postgres/data/postmaster.pid'))).toBe(false)
}, 60_000)
