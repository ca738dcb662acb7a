// Not quick: commits through many database clients.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { defineJob, JobError, type HostTransaction, type RunContext } from '../../src/index.ts'
import { runOnce, type RunOnceResult } from '../../src/worker.ts'
import { recogniseHost } from '../../src/database/callersTransaction.ts'
import { createSchema } from '../../src/database/schema.ts'
import { HOSTS, type TestHost } from '../fixtures/hosts.ts'
import { openProxyTo } from '../openProxyTo.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const fill = defineJob({
  name: 'fill',
  dryRun: true,
  retry: { limit: 0 },
  guard: { maxRows: 5 },
})
const follow = defineJob({ name: 'follow' })

type Context = RunContext<Record<string, never>, HostTransaction>

const runtime = useTestRuntime()

beforeAll(() => runtime.rows('create table "Effect" (n int)'))

beforeEach(async () => {
  for (const table of ['"Effect"', '"JobRun"', '"JobWork"'])
    await runtime.rows(`delete from ${table}`)
})

const effects = () => runtime.column<number>('select n from "Effect" order by n')

/** Ends the connection that changed the table and has not committed, as a fail-over does. */
async function cutWriter(): Promise<void> {
  const rows = await runtime.rows(
    `select pg_terminate_backend(pid) from pg_locks
     where relation = '"Effect"'::regclass and mode = 'RowExclusiveLock' and pid <> pg_backend_pid()
       and database = (select oid from pg_database where datname = current_database())`,
  )
  expect(rows).toHaveLength(1)
}

let host: TestHost

const run = (
  handler: (context: Context) => Promise<void>,
  { dryRun = false } = {},
): Promise<RunOnceResult> =>
  runOnce({
    databaseUrl: runtime.url,
    schema: 'public',
    client: host.client,
    job: fill,
    handler: handler as never,
    dryRun,
    log: runtime.log,
  })

const add = (tx: HostTransaction, ...numbers: number[]) =>
  numbers.reduce<Promise<unknown>>(
    (before, n) => before.then(() => host.insert(tx, n)),
    Promise.resolve(),
  )

/** What plugins rename is nothing of a batch's. */
const hosts = Object.entries(HOSTS).filter(([name]) => !name.includes('that renames'))

describe.each(hosts)('a batch by %s', (_name, openHost) => {
  beforeAll(() => {
    host = openHost(runtime.url)
  })

  afterAll(() => host.close())

  it('commits with its counts, and with what it enqueues', async () => {
    const result = await run(async ({ batch, enqueue }) => {
      const returned = await batch(async (tx) => {
        await add(tx, 1, 2)
        await enqueue(tx, follow, {})
        return { added: 2 }
      })
      expect(returned).toEqual({ added: 2 })
      await batch(async (tx) => {
        await add(tx, 3)
        return { added: 1 }
      })
    })
    expect(result).toMatchObject({
      run: { status: 'success', details: { added: 3, batches: 2 } },
    })
    expect(await effects()).toEqual([1, 2, 3])
    expect(await runtime.rows(`select from "JobWork" where "name" = 'follow'`)).toHaveLength(1)
  })

  it('that fails is rolled back whole, and those before it stay', async () => {
    const result = await run(async ({ batch, enqueue }) => {
      await batch(async (tx) => {
        await add(tx, 1)
        return { added: 1 }
      })
      await batch(async (tx) => {
        await add(tx, 2)
        await enqueue(tx, follow, {})
        throw new JobError('broken', 'it broke')
      })
    })
    expect(result).toMatchObject({
      run: { status: 'failed', details: { added: 1, batches: 1, error: { code: 'broken' } } },
    })
    expect(await effects()).toEqual([1])
    expect(await runtime.rows(`select from "JobWork" where "name" = 'follow'`)).toEqual([])
  })

  it.each([
    ['40P01', 'waited for each other', 'select pg_advisory_xact_lock(7)::text'],
    ['23505', 'unique key', 'create unique index on "Effect" (n)'],
  ])('that PostgreSQL refuses fails its run with the code %s', async (code, meaning, before) => {
    const other = new pg.Client({ connectionString: runtime.url })
    await other.connect()
    onTestFinished(() => other.end())
    // The other waits first, and PostgreSQL ends whoever finds the deadlock.
    await other.query(`begin; set local deadlock_timeout = '1min'`)
    if (code !== '23505') await other.query('lock table "Effect" in access exclusive mode')
    const result = await run(async ({ batch }) => {
      await batch(async (tx) => {
        await recogniseHost(tx, createSchema('public')).connection.query(before)
        const waiting = code === '40P01' && other.query('select pg_advisory_xact_lock(7)')
        try {
          await add(tx, 1, 1)
        } finally {
          await waiting
        }
        return { added: 2 }
      })
    })
    await other.query('rollback')
    const error = {
      code,
      meaning: expect.stringContaining(meaning),
      message: expect.not.stringContaining('Raw query failed'),
    }
    expect(result).toMatchObject({ run: { status: 'failed', details: { error } } })
  })

  it('of a run that another worker has ended commits nothing', async () => {
    const thrown: unknown[] = []
    const result = await run(async ({ batch, run: { id } }) => {
      await batch(async (tx) => {
        await add(tx, 1)
        await runtime.rows('update "JobRun" set "workerId" = $2 where "id" = $1', [id, 'another'])
        return { added: 1 }
      }).catch((error: unknown) => {
        thrown.push(error)
      })
    })
    expect(thrown).toMatchObject([{ code: 'run_lost' }])
    expect(result).toMatchObject({ kind: 'lost' })
    expect(await effects()).toEqual([])
  })

  it('of a dry run is seen by the next, and never commits', async () => {
    const seen: number[] = []
    const result = await run(
      async ({ batch }) => {
        for (const n of [1, 2]) {
          await batch(async (tx) => {
            await add(tx, n)
            const { rows } = await recogniseHost(tx, createSchema('public')).connection.query<{
              n: number
            }>('select count(*)::int as n from "Effect"')
            seen.push(rows[0]!.n)
            return { added: 1 }
          })
        }
      },
      { dryRun: true },
    )
    expect(result).toMatchObject({ run: { status: 'success', details: { added: 2 } } })
    expect(seen).toEqual([1, 2])
    expect(await effects()).toEqual([])
  })

  it('is preceded by a guard that counts in the same way', async () => {
    const result = await run(async ({ guard }) => {
      await guard({
        due: async (tx) => {
          const { rows } = await recogniseHost(tx, createSchema('public')).connection.query<{
            n: number
          }>('select 6 as n')
          return rows[0]!.n
        },
        total: () => Promise.resolve(10),
      })
    })
    expect(result).toMatchObject({
      run: { status: 'failed', details: { error: { code: 'guard_blocked' }, guard: { due: 6 } } },
    })
  })

  it('has an end, at which no handler goes on outside of it', async () => {
    const result = await run(async ({ batch }) => {
      await batch(async (tx) => {
        const { rows } = await recogniseHost(tx, createSchema('public')).connection.query<{
          limit: string
        }>(`select current_setting('idle_in_transaction_session_timeout') as "limit"`)
        // Prisma closes a connection that it gave up.
        expect('$queryRawUnsafe' in tx ? [{ limit: '1min' }] : rows).toEqual([{ limit: '1min' }])
        return {}
      })
    })
    expect(result).toMatchObject({ run: { status: 'success' } })
  })
})

// postgres.js then throws outside of any promise, which guardProcess.ts handles.
const cuttable = hosts.filter(([name]) => !name.includes('postgres.js'))

describe.each(cuttable)('a batch by %s', (_name, openHost) => {
  beforeAll(() => {
    host = openHost(runtime.url)
  })

  afterAll(() => host.close())

  it('whose connection is cut is rolled back whole, and ends nothing but its run', async () => {
    const result = await run(async ({ batch }) => {
      await batch(async (tx) => {
        await add(tx, 1, 2)
        return { added: 2 }
      })
      await batch(async (tx) => {
        await add(tx, 3)
        await cutWriter()
        return { added: 1 }
      })
    })
    expect(result).toMatchObject({
      run: { status: 'failed', details: { added: 2, batches: 1 } },
    })
    expect(await effects()).toEqual([1, 2])
    // The client of the host goes on working.
    expect(
      await run(async ({ batch }) => {
        await batch(async (tx) => {
          await add(tx, 4)
          return { added: 1 }
        })
      }),
    ).toMatchObject({ run: { status: 'success' } })
  })
})

it('a batch by pg whose connection is cut in the packet that opens it fails its run alone', async () => {
  const { port } = new URL(runtime.url)
  const READY = Buffer.from('Z\0\0\0\x05I')
  const text = 'SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0'
  const size = Buffer.alloc(4)
  size.writeUInt32BE(text.length + 4)
  const server = createServer((near) => {
    const far = connect(Number(port), '127.0.0.1', () => near.pipe(far))
    far.on('data', (chunk) => {
      near.write(
        chunk.indexOf(READY) < 0
          ? chunk
          : Buffer.concat([chunk, Buffer.from('E'), size, Buffer.from(text)]),
      )
      if (chunk.indexOf(READY) >= 0) near.end()
    })
    for (const socket of [near, far])
      socket
        .on('error', () => undefined)
        .on('close', () => [near, far].forEach((end) => end.destroy()))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(runtime.url)
  url.port = String((server.address() as AddressInfo).port)
  const pool = new pg.Pool({ connectionString: url.href })
  onTestFinished(async () => {
    await pool.end()
    server.close()
  })
  host = { client: pool } as never
  const result = await run(({ batch }) => batch(async () => ({ added: 1 })).then(() => undefined))
  expect(result).toMatchObject({
    run: {
      status: 'failed',
      details: { error: { code: expect.not.stringMatching('handler_crashed') } },
    },
  })
})

it('a batch by pg replaces a connection that has fallen silent', { timeout: 60_000 }, async () => {
  const { proxy, url } = await openProxyTo(runtime.url)
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  onTestFinished(async () => {
    await pool.end()
    proxy.close()
  })
  host = { client: pool } as never
  const batch = () =>
    run(({ batch: begin }) => begin(async () => ({ added: 1 })).then(() => undefined))
  expect(await batch()).toMatchObject({ run: { status: 'success' } })
  proxy.forget()
  expect(await batch()).toMatchObject({
    run: { status: 'failed', details: { error: { message: 'Query read timeout' } } },
  })
  expect(await batch()).toMatchObject({ run: { status: 'success' } })
})
