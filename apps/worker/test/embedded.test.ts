// Processes: starts databases of its own, and a worker on one.
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate } from '@roundsman/db'
import { cleanupPreviewSessions } from '@roundsman/jobs'
import { acquireEmbeddedPostgres } from '@roundsman/local-postgres'
import { migrate as migrateEngine } from '@roundsman/engine/migrate'
import { spawnProcess } from '@roundsman/testing'
import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { commands } from '../src/command/commands.ts'
import { runInProcess } from './command/runInProcess.ts'
import { startWorkerProcess, workerEnvironment } from './startWorkerProcess.ts'

const CLI = join(import.meta.dirname, '../src/cli.ts')

function makeDataDir(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'roundsman-embedded-'))
  // As root, PostgreSQL runs under another account.
  chmodSync(dataDir, 0o755)
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }))
  return dataDir
}

it('worker:once without DATABASE_URL makes the embedded database, shares it with a worker, and stops it', async () => {
  const dataDir = makeDataDir()
  const embedded = { DATABASE_URL: undefined, DATA_DIR: dataDir }
  const isServing = () => existsSync(join(dataDir, 'postgres/postmaster.pid'))
  const once = async () => {
    const { exited, stdout } = spawnProcess(CLI, {
      args: ['once', cleanupPreviewSessions.name, '--json'],
      env: workerEnvironment(null, embedded),
    })
    return { code: (await exited).code, stdout }
  }

  const first = await once()
  expect(first).toMatchObject({ code: 0, stdout: [expect.stringContaining('"status":"success"')] })
  expect(isServing()).toBe(false)

  const worker = await startWorkerProcess(null, embedded)
  await worker.waitForMessage('Jobs scheduler enabled', { timeoutMs: 30_000 })
  const second = await once()
  expect(second).toMatchObject({ code: 0, stdout: [expect.stringContaining('"status":"success"')] })
  expect(await worker.status('/health/ready')).toBe(200)
  expect(await worker.kill()).toEqual({ code: 0, signal: null })
  expect(isServing()).toBe(false)
}, 60_000)

it('who looks into the database makes none, and looks into one that is there without leaving it running', async () => {
  const dataDir = makeDataDir()
  const look = async () => {
    const variables = workerEnvironment(null, { DATABASE_URL: undefined, DATA_DIR: dataDir })
    const { stdout } = await runInProcess(commands.list, ['--json'], variables, {})
    return (JSON.parse(stdout.join('')) as { database: unknown }).database
  }

  expect(await look()).toEqual({
    isReached: false,
    problem: 'DATABASE_URL is not set, and there is no embedded database yet',
  })
  expect(existsSync(join(dataDir, 'postgres'))).toBe(false)

  const { url, release } = await acquireEmbeddedPostgres({ dataDir })
  await migrate(url)
  await migrateEngine({
    schema: 'public',
    databaseUrl: url,
    log: pino({ level: 'silent' }),
  })
  await release()
  expect(await look()).toEqual({ isReached: true, problem: null })
  expect(existsSync(join(dataDir, 'postgres/postmaster.pid'))).toBe(false)
  expect(existsSync(join(dataDir, 'postgres/data/postmaster.pid'))).toBe(false)
}, 60_000)
