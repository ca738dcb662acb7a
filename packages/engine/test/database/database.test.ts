import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { waitFor } from '@roundsman/testing'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LONG, openDatabase, type Connection, type Database } from '../../src/database/database.ts'
import { createSchema } from '../../src/database/schema.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { usePoolsThroughProxy } from './usePoolsThroughProxy.ts'
import { openBeside } from '../openBeside.ts'

const runtime = useTestRuntime()
const openThroughProxy = usePoolsThroughProxy(runtime)
let database: Database

beforeAll(async () => {
  database = openDatabase({
    schema: createSchema('public'),
    url: runtime.url,
    applicationName: 'victim',
    log: runtime.log,
  })
})

afterAll(() => database.close())

const READY_FOR_QUERY = Buffer.from('Z\0\0\0\x05I', 'latin1')

/** What a server sends when it is shut down: an error of class FATAL. */
const FAREWELL = (() => {
  const fields = ['SFATAL', 'VFATAL', 'C57P01', 'Mterminating connection', '', ''].join('\0')
  const body = Buffer.from(fields, 'latin1')
  const head = Buffer.from('E\0\0\0\0', 'latin1')
  head.writeUInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
})()

/** A server that shuts down at the wrong moment: its farewell arrives together with its greeting. */
async function breakAfterGreeting(url: string): Promise<{ url: string; close(): void }> {
  const address = new URL(url)
  const target = { host: address.hostname, port: Number(address.port) }
  const sockets: Socket[] = []
  const server = createServer((near) => {
    const far = connect(target)
    sockets.push(near, far)
    near.on('error', () => undefined).pipe(far)
    far
      .on('error', () => undefined)
      .on('data', (chunk) => {
        if (!chunk.subarray(-READY_FOR_QUERY.length).equals(READY_FOR_QUERY))
          return near.write(chunk)
        far.destroy()
        return near.end(Buffer.concat([chunk, FAREWELL]))
      })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  address.hostname = '127.0.0.1'
  address.port = String((server.address() as AddressInfo).port)
  const close = () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { url: address.href, close }
}

const cut = () =>
  runtime.rows(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity
     where application_name = 'victim' and datname = current_database()`,
  )

describe('openDatabase', () => {
  it('waits for a lock no longer than it may, in statements, transactions and commits, whatever its URL says', async () => {
    await runtime.rows(`create table "Parent" (id int primary key)`)
    await runtime.rows(
      `create table "Child" (id int references "Parent" deferrable initially deferred)`,
    )
    await runtime.rows(`insert into "Parent" values (1)`)
    const open = (url: string) => openBeside(runtime, { url, lockTimeoutMs: 20 })
    const [plain, lifted] = [
      open(runtime.url),
      open(`${runtime.url}?options=${encodeURIComponent('-c lock_timeout=0')}`),
    ]
    const foreign = new pg.Client({ connectionString: runtime.url })
    await foreign.connect()
    await foreign.query('begin')
    await foreign.query(`select from "Parent" for update`)
    const refused = { code: '55P03' }
    const lock = `select from "Parent" for share`
    await expect(plain.query(lock)).rejects.toMatchObject(refused)
    for (const one of [plain, lifted]) {
      await expect(one.transaction((tx) => tx.query(lock))).rejects.toMatchObject(refused)
      const write = one.transaction((tx) => tx.query('insert into "Child" values (1)'))
      await expect(write).rejects.toMatchObject(refused)
    }
    await foreign.end()
  })

  it('replaces connections that were cut, and logs neither them nor their keys', async () => {
    await Promise.all([database.query('select 1'), database.query('select 1')])
    await cut()

    expect((await database.query<{ n: number }>('select 1 as n')).rows).toEqual([{ n: 1 }])
    const lost = await waitFor(() => {
      const lines = runtime.lines.filter(({ msg }) => msg === 'idle database connection lost')
      return lines.length === 2 && lines
    })
    expect(JSON.stringify(lost)).not.toMatch(/secretKey|processID/)
  })

  it('rejects a transaction whose connection is cut, and serves the next', async () => {
    const refused = database.transaction(async (tx) => {
      await tx.query('select 1')
      await cut()
      await tx.query('select 1')
    })
    await expect(refused).rejects.toThrow(/connection/i)

    expect(
      await database.transaction(async (tx) => (await tx.query('select 1')).rows),
    ).toHaveLength(1)
  })

  it('survives a connection that breaks before anybody has used it', async () => {
    const server = await breakAfterGreeting(runtime.url)
    const unlucky = openBeside(runtime, { url: server.url })
    try {
      await expect(unlucky.transaction((tx) => tx.query('select 1'))).rejects.toThrow(
        /terminat|connection/i,
      )
    } finally {
      server.close()
    }
  })

  it('destroys the idle connections of its pool once one has fallen silent, and soon those that stay silent', async () => {
    const { database: far, proxy } = await openThroughProxy({ applicationName: 'silent' })
    const slow = far.transaction((tx) => tx.query('select 1 as n from pg_sleep(6)'), LONG)
    await Promise.all([1, 2, 3, 4].map(() => far.query('select pg_sleep(0.01)')))
    expect(far.connections()).toMatchObject({ total: 5, idle: 4 })
    far.doubt()
    await waitFor(() => far.connections().total === 1)
    expect((await slow).rows).toEqual([{ n: 1 }])

    proxy.forget()
    const asked = far.query('select 1')
    await waitFor(() => far.connections().idle === 0)
    far.doubt()
    // Before its time-out.
    await expect(asked).rejects.toThrow(/terminated/)
    expect((await far.query('select 2 as n')).rows).toEqual([{ n: 2 }])
  }, 20_000)

  it('leaves nothing on a connection that many transactions have had', async () => {
    const warnings: string[] = []
    const onWarning = ({ name }: Error) => void warnings.push(name)
    process.on('warning', onWarning)
    const one = openBeside(runtime, { poolSize: 1 })
    try {
      for (let n = 0; n < 30; n++) await one.transaction((tx) => tx.query('select 1'))
      // Node emits the warning in a later turn.
      await new Promise(setImmediate)
      expect(warnings).not.toContain('MaxListenersExceededWarning')
    } finally {
      process.off('warning', onWarning)
    }
  })

  it('has connections of their own carry out prepared statements, which wait for no other', async () => {
    const preparing = openBeside(runtime, { isSession: true, poolSize: 3 })
    const readPid = async () => {
      const statement = { name: 'pid', text: 'select pg_backend_pid() as pid' }
      return (await preparing.query<{ pid: number }>(statement)).rows[0]?.pid
    }
    const lock = { name: 'lock', text: 'select pg_advisory_xact_lock(814)::text' }
    const pid = await readPid()
    await preparing.transaction((tx) => tx.query('select 1'))
    for (let n = 0; n < 5; n++) {
      const [, again] = await Promise.all([preparing.query('select 1'), readPid()])
      expect(again).toBe(pid)
    }
    let locked: Promise<unknown> | undefined
    await preparing.transaction(async (tx) => {
      await tx.query(lock)
      locked = preparing.query(lock)
      expect(await readPid()).not.toBe(pid)
      // A plan that another connection keeps would not keep to indexes.
      expect((await tx.query('select from pg_prepared_statements')).rowCount).toBe(0)
    })
    await locked
    expect(await readPid()).toBe(pid)
    expect(preparing.connections()).toEqual({ max: 3, total: 3, idle: 3, waiting: 0 })
  })

  it('carries a prepared statement out on another connection when the server takes no more', async () => {
    const full = { applicationName: 'full', isSession: true }
    const { database: preparing, proxy } = await openThroughProxy(full)
    await preparing.transaction((tx) => tx.query('select 1'))
    proxy.refuse(() => true)
    const statement = { name: 'one', text: 'select 1 as n' }
    expect((await preparing.query(statement)).rows).toEqual([{ n: 1 }])
  })

  it('carries everything else out on the one of prepared statements when the server takes no more', async () => {
    const full = { applicationName: 'full', isSession: true }
    const { database: preparing, proxy } = await openThroughProxy(full)
    const isOne = (tx: Connection) => tx.query<{ n: number }>('select 1 as n')
    await preparing.query({ name: 'one', text: 'select 1 as n' })
    proxy.refuse(() => true)
    expect((await preparing.transaction(isOne)).rows).toEqual([{ n: 1 }])
    proxy.refuse(() => false)
    // Another one is open, and busy meanwhile.
    await preparing.transaction(async (tx) => {
      await isOne(tx)
      proxy.refuse(() => true)
      expect((await isOne(preparing)).rows).toEqual([{ n: 1 }])
      expect((await preparing.transaction(isOne)).rows).toEqual([{ n: 1 }])
    })
  })

  it('is read committed and uncompiled, and each connection ends when its other end has vanished', async () => {
    const names = ['default_transaction_isolation', 'jit', 'tcp_user_timeout', 'statement_timeout']
    const { rows } = await database.query<{ value: string }>(
      'select current_setting(name) as value from unnest($1::text[]) with ordinality as t(name, n) order by n',
      [names],
    )
    expect(rows.map(({ value }) => value)).toEqual(['read committed', 'off', '30000', '10s'])
  })
})
