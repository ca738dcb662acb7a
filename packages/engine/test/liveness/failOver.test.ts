// Processes: starts PostgreSQLs that follow each other.
import { execFile } from 'node:child_process'
import { appendFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { acquireEmbeddedPostgres, type EmbeddedPostgres } from '@roundsman/local-postgres'
import { createProxy, makeServerFolder, waitFor, type Proxy } from '@roundsman/testing'
import pg from 'pg'
import { pino } from 'pino'
import { afterEach, beforeAll, afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createJobsClient } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { migrate } from '../../src/migrate.ts'
import { createWorker } from '../../src/worker.ts'

const NO_RETRY = { limit: 0 }
const log = pino({ level: 'silent' })
const by = { actor: 'somebody', reason: 'a test' }
const payload = z.object({ n: z.number() })
/** Its claims reach the standby, and its ends do not. */
const ends = defineJob({ name: 'ends', payload, retry: NO_RETRY, concurrency: 50 })
/** Its runs go on through the fail-over. */
const goesOn = defineJob({ name: 'goesOn', payload, retry: NO_RETRY, concurrency: 50 })
/** Its work reaches the standby, and its claim does not. */
const starts = defineJob({ name: 'starts', payload, retry: NO_RETRY, concurrency: 50 })
/** Its first two memos are on the old primary alone. */
const walks = defineJob({
  name: 'walks',
  payload,
  retry: NO_RETRY,
  steps: { begin: {}, book: {}, end: {} },
})
const jobs = [ends, goesOn, starts, walks] as const
const COUNT = 20

const run = promisify(execFile)
const closing: (() => Promise<unknown>)[] = []
const folders: string[] = []
let template: string

const makeFolder = async () => {
  const folder = await makeServerFolder('roundsman-fail-over-')
  folders.push(folder)
  return folder
}
const start = (dataDir: string) => acquireEmbeddedPostgres({ dataDir, settings: { fsync: 'off' } })
const portOf = ({ url }: EmbeddedPostgres) => Number(new URL(url).port)

/** A copy of a server that was stopped, with the same owner. */
async function copy(dataDir: string): Promise<string> {
  const made = await makeFolder()
  await run('cp', ['-a', join(dataDir, 'postgres'), made])
  return made
}

function openPool(url: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: url })
  pool.on('error', () => undefined)
  closing.push(() => pool.end())
  return pool
}

interface Server {
  pool: pg.Pool
  port: number
  kill(): void
}

async function openServer(dataDir: string): Promise<Server> {
  const server = await start(dataDir)
  closing.push(() => server.release())
  const pool = openPool(server.url)
  const { rows } = await pool.query<{ file: string }>(
    `select pg_read_file('postmaster.pid') as "file"`,
  )
  const pid = Number(rows[0]?.file.split('\n')[0])
  return { pool, port: portOf(server), kill: () => void process.kill(pid, 'SIGKILL') }
}

/** A primary, a standby that follows it through `wire`, and what leads clients to the one or the other. */
async function openServers(): Promise<{
  primary: Server
  standby: Server
  wire: Proxy
  front: Proxy
  url: string
}> {
  const [first, second] = [await copy(template), await copy(template)]
  const primary = await openServer(first)
  const wire = await createProxy(primary.port)
  const front = await createProxy(primary.port)
  closing.push(async () => [wire, front].forEach((proxy) => proxy.close()))
  const url = new URL(templateUrl)
  url.port = String(front.port)
  const data = join(second, 'postgres', 'data')
  await run('cp', ['-a', join(data, 'PG_VERSION'), join(data, 'standby.signal')])
  await appendFile(
    join(data, 'postgresql.auto.conf'),
    `primary_conninfo = 'host=127.0.0.1 port=${wire.port} user=${url.username} password=${url.password}'\n`,
  )
  return { primary, standby: await openServer(second), wire, front, url: url.href }
}

let templateUrl: string

beforeAll(async () => {
  template = await makeFolder()
  const server = await start(template)
  templateUrl = server.url
  await migrate({ schema: 'public', databaseUrl: server.url, log })
  await server.release()
}, 120_000)

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

const countOf = async ({ pool }: Server, question: string) =>
  Number((await pool.query<{ count: string }>(`select count(*) ${question}`)).rows[0]?.count)
const UNDER_WAY = `from "JobRunAll" where "status" = 'running'`
const endsOf = (name: string) => `from "JobRun" where "name" = '${name}' and "status" = 'success'`

describe('a standby without the last second that becomes the primary', { timeout: 120_000 }, () => {
  it.each([
    { what: 'is dead', isDead: true },
    { what: 'takes ends for some seconds more', isDead: false },
  ])('loses no work and no run where the old primary $what', async ({ isDead }) => {
    const { primary, standby, wire, front, url } = await openServers()
    const walked: string[] = []
    await primary.pool.query('create table "Booking" (n int)')
    const gates = {
      walks: Promise.withResolvers<void>(),
      ends: Promise.withResolvers<void>(),
      goesOn: Promise.withResolvers<void>(),
    }
    const started = new Set<string>()
    let underWay = 0
    const reasons: unknown[] = []
    const worker = createWorker({
      schema: 'public',
      retention: false,
      databaseUrl: url,
      client: openPool(url),
      jobs,
      handlers: {
        ends: async ({ payload: { n } }) => {
          started.add(`ends ${n}`)
          await gates.ends.promise
        },
        goesOn: async ({ payload: { n } }) => {
          started.add(`goesOn ${n}`)
          await gates.goesOn.promise
        },
        starts: async ({ payload: { n }, signal }) => {
          expect(++underWay).toBe(1)
          const isAgain = started.has(`starts ${n}`)
          started.add(`starts ${n}`)
          if (!isAgain) {
            await new Promise((resolve) => signal.addEventListener('abort', resolve))
            reasons.push(signal.reason.code)
          }
          underWay--
        },
        async walks({ step, payload: { n } }) {
          await step.run('begin', async () => {
            started.add(`walks ${n}`)
            await gates.walks.promise
          })
          await step.tx('book', async (tx) => {
            await tx.query('insert into "Booking" values ($1)', [n])
          })
          walked.push(`booked ${n}`)
          await step.run('end', async () => await gates.goesOn.promise)
        },
      },
      log,
    })
    const client = createJobsClient({ schema: 'public', databaseUrl: url, log })
    await client.start()
    closing.push(() => client.stop())
    await worker.start()
    closing.push(() => worker.stop({ drainTimeoutMs: 0 }))

    const pieces = Array.from({ length: COUNT }, (_, n) => ({ payload: { n } }))
    await client.pauseQueue('starts', by)
    await client.enqueueManyNow(ends, pieces)
    await client.enqueueManyNow(goesOn, pieces)
    await client.enqueueNow(starts, { n: 0 })
    await client.enqueueNow(walks, { n: 0 })
    await waitFor(() => started.size === 2 * COUNT + 1)
    await waitFor(async () => (await countOf(standby, UNDER_WAY)) === 2 * COUNT + 1)
    await waitFor(async () => (await countOf(standby, 'from "JobWork"')) === 1)

    wire.refuse(() => true)
    wire.cut()
    gates.walks.resolve()
    await waitFor(() => walked.length > 0)
    expect(await countOf(standby, 'from "Booking"')).toBe(0)
    const promote = () => standby.pool.query('select pg_promote(true, 60)')
    if (!isDead) await promote()
    gates.ends.resolve()
    const endedOn = (server: Server) => countOf(server, endsOf('ends'))
    if (!isDead) {
      // From now on, only connections that are open lead to the old primary.
      await waitFor(async () => (await endedOn(primary)) > 0)
      front.retarget(standby.port)
    }
    await waitFor(async () => (await endedOn(primary)) + (await endedOn(standby)) === COUNT)
    await primary.pool.query('delete from "JobQueue"')
    await waitFor(() => started.has('starts 0'))
    const lost = await endedOn(primary)
    expect(lost).toBeGreaterThan(0)
    primary.kill()
    if (isDead) {
      await promote()
      front.retarget(standby.port)
    }
    await standby.pool.query('delete from "JobQueue"')

    await waitFor(async () => (await countOf(standby, endsOf('ends'))) === COUNT)
    await waitFor(async () => (await countOf(standby, endsOf('starts'))) === 1)
    expect(reasons).toEqual(['run_lost'])
    expect(await countOf(standby, UNDER_WAY)).toBe(COUNT + 1)
    gates.goesOn.resolve()
    await waitFor(async () => (await countOf(standby, endsOf('goesOn'))) === COUNT)
    await waitFor(async () => (await countOf(standby, endsOf('walks'))) === 1)
    expect(await countOf(standby, 'from "Booking"')).toBe(1)
    expect(await countOf(standby, UNDER_WAY)).toBe(0)
    expect(await countOf(standby, 'from "JobDeadLetter"')).toBe(0)
    expect(await countOf(standby, 'from "JobWork"')).toBe(0)
    const { rows } = await standby.pool.query(
      `select "name", "attempt", "errorCode", count(*)::int from "JobRun" where "errorCode" is not null group by 1, 2, 3 order by 1`,
    )
    expect(rows).toEqual([
      { name: 'ends', attempt: 1, errorCode: 'drained', count: lost },
      // It had booked on the old primary.
      { name: 'walks', attempt: 1, errorCode: 'drained', count: 1 },
    ])
  })
})
