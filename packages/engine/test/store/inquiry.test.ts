// Not quick: waits until connections that say nothing are given up.
import { connect, createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { createPooler, waitFor } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBorrowingRole } from '../createBorrowingRole.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { usePoolsThroughProxy } from './usePoolsThroughProxy.ts'
import { openBeside } from '../openBeside.ts'

/** As pools have it, but soon. No answer is given up by a time-out. */
const SOON = { askAfterMs: 50, answerTimeoutMs: null, statementTimeoutMs: null }

const runtime = useTestRuntime()
const openThroughProxy = usePoolsThroughProxy(runtime)

beforeEach(() => void runtime.lines.splice(0))

const replaced = () =>
  runtime.lines.flatMap(({ msg, connections }) =>
    String(msg).includes('lost their other end') ? [connections] : [],
  )

describe('a statement without an answer', () => {
  it('is given up when the server is not at work on it', async () => {
    const { database, proxy } = await openThroughProxy({
      applicationName: 'silent',
      ...SOON,
    })
    await database.query('select 1')
    proxy.forget()
    await expect(database.query('select 1')).rejects.toThrow(/terminated/)
    expect(replaced()).toEqual([1])
    expect((await database.query('select 2 as n')).rows).toEqual([{ n: 2 }])
  })

  it('is given up in a transaction, and so is its rollback', async () => {
    const { database, proxy } = await openThroughProxy({
      applicationName: 'silent',
      ...SOON,
    })
    const broken = new Error('broken')
    const rolledBack = database.transaction(async (tx) => {
      await tx.query('select 1')
      proxy.forget()
      throw broken
    })
    await expect(rolledBack).rejects.toBe(broken)
    expect(database.connections()).toMatchObject({ total: 0 })
  })

  it('is given up also when any message of those that follow is lost with its connection', async () => {
    const echo = { name: 'echo', text: 'select $1::int as n' }
    const askWithout = async (message: number): Promise<void> => {
      const { database, proxy } = await openThroughProxy({
        applicationName: 'silent',
        canPrepare: () => true,
        ...SOON,
      })
      await database.query(echo, [message])
      proxy.forget()
      proxy.forgetAt(message)
      const ask = async () => (await database.query(echo, [message])).rows
      expect(await waitFor(ask)).toEqual([{ n: message }])
    }
    // In two parts, so that the server has room for their connections.
    for (const first of [1, 13]) {
      await Promise.all(Array.from({ length: 12 }, (_, at) => askWithout(first + at)))
    }
  })

  it('has the idle connections of its pool replaced at once', async () => {
    const { database, proxy } = await openThroughProxy({
      applicationName: 'silent',
      ...SOON,
    })
    await Promise.all([1, 2, 3, 4].map(() => database.query('select pg_sleep(0.01)')))
    expect(database.connections()).toMatchObject({ total: 4 })
    proxy.forget()
    await expect(database.query('select 1')).rejects.toThrow(/terminated/)
    // The driver gives out the last one that came back, and no other is asked a statement.
    await waitFor(() => database.connections().total === 0)
  })

  it('is waited for while the server is at work on it, or waits for a lock', async () => {
    const { database } = await openThroughProxy({
      applicationName: 'patient',
      ...SOON,
    })
    await database.query('create table if not exists held (n int)')
    const waits = await database.transaction(async (tx) => {
      await tx.query('lock table held')
      const waiting = database.query('select 1 as n from held right join (select) one on true')
      await tx.query('select pg_sleep(0.5)')
      return { waiting }
    })
    expect((await waits.waiting).rows).toEqual([{ n: 1 }])
    expect(replaced()).toEqual([])
  })

  it('is waited for behind a pooler, whose processes are not those that it names', async () => {
    const pooler = await createPooler(runtime.url)
    const database = openBeside(runtime, { url: pooler.url, ...SOON })
    try {
      const { rows } = await database.query('select 1 as n from pg_sleep(0.5)')
      expect(rows).toEqual([{ n: 1 }])
      expect(replaced()).toEqual([])
    } finally {
      await database.close()
      await pooler.close()
    }
  })

  it('is given up, or waited for, also by a role whose statements run as another', async () => {
    const role = await createBorrowingRole(runtime)
    const { database, proxy } = await openThroughProxy({
      url: role.url,
      applicationName: 'borrowed',
      ...SOON,
    })
    try {
      await database.query('select pg_sleep(0.5)')
      expect(replaced()).toEqual([])
      proxy.forget()
      await expect(database.query('select 1')).rejects.toThrow(/terminated/)
      expect(replaced()).toEqual([1])
    } finally {
      await role.drop()
    }
  })

  it('is waited for while it is still being sent', async () => {
    const link = await openSlowLink(Number(new URL(runtime.url).port), 10_000)
    const url = new URL(runtime.url)
    url.port = String(link.port)
    const database = openBeside(runtime, {
      url: url.href,
      // The server knows the statement, and is not at work on it before it has all of its values.
      canPrepare: () => true,
      ...SOON,
      askAfterMs: 1_000,
    })
    const measure = { name: 'measure', text: 'select length($1::text) as n' }
    try {
      for (const n of [1, 30_000_000]) {
        const { rows } = await database.query(measure, ['x'.repeat(n)])
        expect(rows).toEqual([{ n }])
      }
      expect(replaced()).toEqual([])
    } finally {
      await database.close()
      link.close()
    }
  })
})

/** A way to PostgreSQL over which so many bytes get in a millisecond. */
async function openSlowLink(targetPort: number, bytesPerMs: number) {
  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1')
    near.on('error', () => far.destroy()).on('close', () => far.destroy())
    far.on('error', () => near.destroy()).pipe(near)
    near.on('data', (chunk) => {
      far.write(chunk)
      near.pause()
      setTimeout(() => near.resume(), chunk.length / bytesPerMs)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}
