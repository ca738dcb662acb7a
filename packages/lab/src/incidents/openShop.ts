import { join } from 'node:path'
import type { PrismaClient } from '@roundsman/db'
import type { JobsClient } from '@roundsman/engine/client'
import { startMember, type Member } from '../createFleet.ts'
import { openPool } from '../openPool.ts'
import { createClient, migrateEngine, openPrisma } from '../product.ts'
import { isScheduled } from '@roundsman/engine'
import { catalogue, type IncidentJob } from './incidentJobs.ts'

/** What a worker process is told. */
export interface WorkerSettings {
  databaseUrl: string
  takes: readonly IncidentJob[]
  version: string
  cron?: string | undefined
  /** How far its clock is ahead. */
  aheadMs: number
}

/** A product with a database, in which incidents are made. */
export interface Shop {
  client: JobsClient
  /** The product's own client. */
  host: PrismaClient
  /** Starts a worker process that takes these jobs alone, and resolves once it does. */
  startWorker(
    takes: readonly IncidentJob[],
    more?: Partial<Omit<WorkerSettings, 'databaseUrl' | 'takes'>>,
  ): Promise<Member>
  /** Lets a worker be alive that takes all jobs and does nothing, so that inserted rows do not change. */
  pretendWorker(version?: string): Promise<void>
  /** Runs a statement in a transaction of somebody's psql, which stays open. */
  lockByPsql(statement: string): Promise<void>
  close(): Promise<void>
}

export async function openShop(databaseUrl: string): Promise<Shop> {
  await migrateEngine(databaseUrl)
  const client = createClient(databaseUrl)
  await client.start()
  const host = openPrisma(databaseUrl, 'shop')
  // As workers have written them.
  await host.$executeRawUnsafe(
    `insert into "JobSchedule" ("name", "version", "cron", "timeZone", "cursor", "nextAt", "dueAt")
     select "name", 1, '0 7 * * *', 'Europe/Berlin', now(), now() + interval '1 day', now() + interval '1 day'
     from unnest($1::text[]) job("name") on conflict do nothing`,
    catalogue.filter(isScheduled).map(({ name }) => name),
  )
  const workers: Member[] = []
  const sessions: (() => Promise<void>)[] = []
  const pretended = new Set<string>()
  const shop: Shop = {
    client,
    host,
    async pretendWorker(version = '0.2.0') {
      const id = `pretended-${version}`
      if (pretended.has(id)) return
      pretended.add(id)
      await shop.lockByPsql(`select pg_advisory_xact_lock(hashtextextended('${id}', 0))`)
      const lanes = Object.fromEntries(catalogue.map(({ name }) => [name, 4]))
      await host.$executeRawUnsafe(
        `insert into "JobWorker" ("id", "version", "lanes", "startedAt", "heartbeatAt")
         values ($1, $2, $3::text::jsonb, now() - interval '2 hours', now() + interval '1 day')`,
        id,
        version,
        JSON.stringify(lanes),
      )
    },
    async startWorker(takes, { version = '0.2.0', cron, aheadMs = 0 } = {}) {
      const settings: WorkerSettings = { databaseUrl, takes, version, cron, aheadMs }
      const worker = startMember(join(import.meta.dirname, 'workerProcess.ts'), workers.length, {
        settings,
      })
      workers.push(worker)
      await worker.told('isReady')
      return worker
    },
    async lockByPsql(statement) {
      const psql = openPool({ url: databaseUrl, applicationName: 'psql', poolSize: 1 })
      const end = Promise.withResolvers<void>()
      const isLocked = Promise.withResolvers<void>()
      const over = psql.transaction(async (tx) => {
        await tx.query(statement)
        isLocked.resolve()
        await end.promise
      })
      over.catch(isLocked.reject)
      sessions.push(async () => {
        end.resolve()
        await over.catch(() => undefined)
        await psql.close()
      })
      await isLocked.promise
    },
    async close() {
      // First the locks, for which workers wait.
      await Promise.all(sessions.map((end) => end()))
      await Promise.all(workers.map((worker) => worker.stop()))
      await client.stop()
      await host.$disconnect()
    },
  }
  return shop
}
