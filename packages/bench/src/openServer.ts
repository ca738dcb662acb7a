import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { acquireEmbeddedPostgres, createDatabaseClient, migrate } from '@roundsman/db'
import { jobs } from '@roundsman/jobs'
import { migrateQueue } from '@roundsman/runtime/worker'
import { pino } from 'pino'

export const log = pino({ level: 'silent' })

/** A PostgreSQL of its own, as it comes: whatever waits for the disk does so here as well. */
export async function openServer() {
  const dataDir = await realpath(await mkdtemp(join(tmpdir(), 'roundsman-bench-')))
  // As root, PostgreSQL runs under another account.
  await chmod(dataDir, 0o755)
  const { url, release } = await acquireEmbeddedPostgres({ dataDir })
  await migrate(url)
  await migrateQueue({ databaseUrl: url, jobs, log })
  const prisma = createDatabaseClient({
    url,
    applicationName: 'bench',
    onPoolError: () => undefined,
    statementTimeoutMs: 600_000,
  })
  return {
    url,
    prisma,
    async close() {
      await prisma.$disconnect()
      await release()
      const cluster = await realpath(join(dataDir, 'postgres')).catch(() => dataDir)
      if (dirname(cluster) !== dataDir) await rm(cluster, { recursive: true, force: true })
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
