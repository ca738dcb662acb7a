// Not quick: starts processes.
import { spawnProcess, waitFor, type Proxy } from '@roundsman/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { listWorkers } from '../../src/client.ts'
import { notify, WORK_CHANNEL } from '../../src/database/channels.ts'
import { createSession, type Session } from '../../src/liveness/session.ts'
import { createSchema } from '../../src/database/schema.ts'
import { openDatabase } from '../../src/database/database.ts'
import { createBorrowingRole } from '../createBorrowingRole.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { openProxyTo } from '../openProxyTo.ts'

const BLOCKED = new URL('../fixtures/blockedProcess.ts', import.meta.url).pathname

const runtime = useTestRuntime()
let session: Session
let woken: (string | null)[]

beforeEach(async () => {
  const { url, log, database } = runtime
  woken = []
  session = createSession({ url, database, workerId: 'w1', log })
  await session.start()
  await session.listen(
    WORK_CHANNEL,
    (payload) => woken.push(payload),
    () => woken.push(null),
  )
})

afterEach(async () => {
  await session.stop()
})

const tell = () => notify(runtime.database, WORK_CHANNEL, ['echo'])
const sessions = (workerId = 'w1') =>
  runtime.rows<{ pid: number; locks: number }>(
    `select pid, (select count(*)::int from pg_locks lock where lock.pid = activity.pid and locktype = 'advisory' and granted) locks
     from pg_stat_activity activity where application_name = 'roundsman ' || $1 and datname = current_database()`,
    [workerId],
  )

describe('createSession', () => {
  it('holds the lock that says that the worker lives, for as long as it lives', async () => {
    expect(await sessions()).toMatchObject([{ locks: 1 }])
    await session.stop()
    await waitFor(async () => (await sessions()).length === 0)
  })

  it('comes back when its connection is cut: with its lock, listening, and looking for what it missed', async () => {
    const before = await sessions()
    await runtime.rows('select pg_terminate_backend($1)', [before[0]?.pid])
    await waitFor(() => session.connectedForMs() === null)
    await waitFor(() => woken.includes(null))
    const [after] = await sessions()

    expect(after?.pid).not.toBe(before[0]?.pid)
    expect(after?.locks).toBe(1)
    woken.length = 0
    await tell()
    await waitFor(() => woken.includes('echo'))
  })

  it('signs up anew when others have removed its row', async () => {
    await runtime.rows('delete from "JobWorker"')
    await session.signUp()
    expect(await listWorkers(runtime.reader)).toMatchObject([{ id: 'w1', isAlive: true }])
  })

  it('counts how long others could tell that it lives by a clock that does not jump', () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 })
    try {
      expect(session.connectedForMs()).toBeLessThan(3_600_000)
    } finally {
      vi.useRealTimers()
    }
  })

  it('takes its lock over from a connection whose other end the server still believes in', async () => {
    const { proxy, url } = await openProxyTo(runtime.url)
    const { database, log } = runtime
    const far = createSession({ url, database, workerId: 'w2', answerTimeoutMs: 500, log })
    try {
      await far.start()
      const [before] = await sessions('w2')
      proxy.forget()
      await expect(far.query('select 1')).rejects.toThrow(/timeout/)
      await waitFor(() => far.connectedForMs() !== null)

      const after = await sessions('w2')
      expect(after).toMatchObject([{ locks: 1 }])
      expect(after[0]?.pid).not.toBe(before?.pid)
    } finally {
      await far.stop()
      proxy.close()
    }
  })

  it('keeps its lock while it is blocked under megabytes of notifications', async () => {
    const child = spawnProcess(BLOCKED, { args: [runtime.url, '5000'] })
    await child.waitForLine('blocked now')
    for (let part = 0; part < 10; part++) {
      await runtime.rows(
        `select pg_notify('flood', repeat('x', 7000) || n || $1) from generate_series(1, 500) n`,
        [` of ${part}`],
      )
    }
    // The listening connection is ended as if its process had vanished: the server cannot tell.
    expect(await child.waitForLine('its connection')).toBe('kept its connection')
    await child.waitForLine('hears again')
    expect(await child.exited).toEqual({ code: 0, signal: null })
  })

  it('has the server let go of it soon after its machine has vanished', async () => {
    const { rows } = await session.query(
      `select current_setting('tcp_user_timeout') as "userTimeout", current_setting('tcp_keepalives_idle') as idle,
              current_setting('jit') as jit, current_setting('idle_session_timeout') as "idleSession"`,
    )
    expect(rows).toEqual([{ userTimeout: '15000', idle: '5', jit: 'off', idleSession: '0' }])
  })
})

describe('createSession, as a role whose statements run as another', () => {
  let role: Awaited<ReturnType<typeof createBorrowingRole>>
  let database: ReturnType<typeof openDatabase>
  let proxy: Proxy
  let far: Session

  beforeEach(async () => {
    runtime.lines.length = 0
    role = await createBorrowingRole(runtime)
    const { log } = runtime
    database = openDatabase({
      schema: createSchema('public'),
      url: role.url,
      applicationName: 'test',
      log,
    })
    const opened = await openProxyTo(role.url)
    proxy = opened.proxy
    far = createSession({ url: opened.url, database, workerId: 'w3', answerTimeoutMs: 1_000, log })
    await far.start()
  })

  afterEach(async () => {
    await far.stop()
    await database.close()
    proxy.close()
    await role.drop()
  })

  /** As the round does, which notices that nobody answers. */
  async function loseSilently() {
    proxy.forget()
    await expect(far.query('select 1')).rejects.toThrow(/timeout/)
  }

  it('takes its lock over', async () => {
    const [before] = await sessions('w3')
    await loseSilently()
    await waitFor(() => far.connectedForMs() !== null)
    const after = await sessions('w3')
    expect(after).toMatchObject([{ locks: 1 }])
    expect(after[0]?.pid).not.toBe(before?.pid)
  })

  it('goes on while its old connection holds the lock and may not be ended, and says so once', async () => {
    await runtime.rows('revoke execute on function pg_terminate_backend from public')
    try {
      const [before] = await sessions('w3')
      await loseSilently()
      const told = (text: string) => runtime.lines.filter(({ msg }) => String(msg).includes(text))
      await waitFor(() => told('may not end its lost connection').length > 0)
      expect(far.connectedForMs()).not.toBe(null)
      expect((await far.query('select 1 as n')).rows).toEqual([{ n: 1 }])
      // Tries that fail in the same way say nothing.
      await waitFor(async () => (await sessions('w3')).some(({ locks }) => locks === 0))
      await waitFor(async () => (await sessions('w3')).every(({ locks }) => locks > 0))
      await waitFor(async () => (await sessions('w3')).some(({ locks }) => locks === 0))
      expect(far.connectedForMs()).not.toBe(null)
      expect(told('may not end its lost connection')).toHaveLength(1)
      expect(told('reconnecting the session failed')).toEqual([])

      // The server lets go of it at last.
      await runtime.rows('select pg_terminate_backend($1)', [before?.pid])
      await waitFor(() => told('session restored').length > 0)
      expect(await sessions('w3')).toMatchObject([{ locks: 1 }])
    } finally {
      await runtime.rows('grant execute on function pg_terminate_backend to public')
    }
  })
})
