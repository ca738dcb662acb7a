// A product whose requests write a row of their own and enqueue, on so many connections at once. Tells how many committed.
import { readFile } from 'node:fs/promises'
import { defineJob } from '@roundsman/engine'
import { statementName } from '@roundsman/engine/internal'
import { Queue } from 'bullmq'
import { makeWorkerUtils, Logger } from 'graphile-worker'
import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { z } from 'zod'
import { followDriver } from '../followDriver.ts'
import type { Committed, CommitSettings } from './commits.ts'
import { createClient, migrateEngine } from '../product.ts'

/** What a request does besides writing its own row. */
interface Enqueue {
  inside?: (client: pg.PoolClient, n: number) => Promise<unknown>
  afterwards?: (n: number) => Promise<unknown>
  close?: () => Promise<unknown>
}

const WARM_UP_MS = 500
/** Linux's /proc counts in hundredths of a second, whatever the kernel's own ticks are. */
const TICKS_PER_SECOND = 100

const { settings, tell } = followDriver<CommitSettings>()
const { side, url, redisUrl, connections, durationMs } = settings
const pool = new pg.Pool({ connectionString: url, max: connections, min: 0 })
await pool.query(
  `create table "Order" (id bigint generated always as identity primary key, note text not null);
   create table "Plain" (id uuid primary key default gen_random_uuid(), data jsonb not null, at timestamptz not null default now())`,
)
const { inside, afterwards, close } = await open()
await commitFor(WARM_UP_MS)
const begun = await readCosts()
const commits = await commitFor(durationMs)
const ended = await readCosts()
const committed: Committed = {
  commits,
  tookMs: ended.atMs - begun.atMs,
  processUs: ended.processUs - begun.processUs,
  machineUs: ended.machineUs - begun.machineUs,
  logBytes: ended.logBytes - begun.logBytes,
}
tell({ committed })
await close?.()
process.exit(0)

async function readCosts() {
  const { rows } = await pool.query<{ bytes: number }>(
    `select (pg_current_wal_lsn() - '0/0'::pg_lsn)::float8 as bytes`,
  )
  const { user, system } = process.cpuUsage()
  const machine = await readMachine()
  return {
    atMs: performance.now(),
    processUs: user + system,
    machineUs: (machine?.busySeconds ?? NaN) * 1_000_000,
    logBytes: rows[0]?.bytes ?? NaN,
  }
}

/** For how long the machine's processors have worked since it started, all together; null where there is no /proc. */
async function readMachine(): Promise<{ busySeconds: number } | null> {
  const text = await readFile('/proc/stat', 'utf8').catch(() => null)
  const all = /^cpu +([\d ]+)$/m
    .exec(text ?? '')?.[1]
    ?.split(' ')
    .map(Number)
  if (all === undefined) return null
  const [user = 0, nice = 0, system = 0, , , interrupts = 0, softInterrupts = 0] = all
  return { busySeconds: (user + nice + system + interrupts + softInterrupts) / TICKS_PER_SECOND }
}

async function commitFor(forMs: number): Promise<number> {
  const deadlineMs = performance.now() + forMs
  let count = 0
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const client = await pool.connect()
      while (performance.now() < deadlineMs) {
        const n = count++
        await client.query('begin')
        await client.query('insert into "Order" (note) values ($1)', [`order ${n}`])
        await inside?.(client, n)
        await client.query('commit')
        await afterwards?.(n)
      }
      client.release()
    }),
  )
  return count
}

async function open(): Promise<Enqueue> {
  switch (side) {
    case 'plain':
      return {
        inside: (client, n) =>
          client.query('insert into "Plain" (data) values ($1)', [JSON.stringify({ n })]),
      }
    case 'roundsman': {
      const job = defineJob({ name: 'noop', payload: z.strictObject({ n: z.int() }) })
      await migrateEngine(url)
      const jobsClient = createClient(url)
      await jobsClient.start()
      return {
        inside: (client, n) => jobsClient.enqueue(asPrisma(client), job, { n }),
        close: () => jobsClient.stop(),
      }
    }
    case 'pgBoss': {
      const boss = new PgBoss({ connectionString: url, schedule: false, supervise: false })
      await boss.start()
      await boss.createQueue('noop', { notify: true })
      return {
        inside: (client, n) =>
          boss.send('noop', { n }, { db: { executeSql: (...args) => client.query(...args) } }),
        close: () => boss.stop({ graceful: false }),
      }
    }
    case 'graphileWorker': {
      const utils = await makeWorkerUtils({
        connectionString: url,
        logger: new Logger(() => () => undefined),
      })
      await utils.migrate()
      return {
        inside: (client, n) =>
          client.query(`select graphile_worker.add_job('noop', $1::json)`, [JSON.stringify({ n })]),
        close: async () => await utils.release(),
      }
    }
    case 'bullMq': {
      const { hostname: host, port } = new URL(redisUrl)
      const queue = new Queue('noop', { connection: { host, port: Number(port) } })
      await queue.waitUntilReady()
      return { afterwards: (n) => queue.add('noop', { n }), close: () => queue.close() }
    }
    default:
      return side satisfies never
  }
}

/** The caller's transaction as the client takes it, preparing statements as this repository's Prisma client does. */
function asPrisma(client: pg.PoolClient) {
  return {
    async $queryRawUnsafe<Value>(text: string, ...values: unknown[]): Promise<Value> {
      return (await client.query({ name: statementName(text), text, values })).rows as Value
    },
  }
}
