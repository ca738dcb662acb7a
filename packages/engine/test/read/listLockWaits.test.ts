// Not quick: waits for locks for as long as a person would notice.
import { waitFor } from '@roundsman/testing'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { listProblems } from '../../src/client.ts'
import { listLockWaits, listRunWaits } from '../../src/read/listLockWaits.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime()

async function openSession(name: string) {
  const session = new pg.Client({ connectionString: runtime.url, application_name: name })
  await session.connect()
  onTestFinished(() => session.end())
  const { rows } = await session.query<{ pid: number }>('select pg_backend_pid() as pid')
  return { session, pid: rows[0]!.pid }
}

const LOCK = 'lock table "Shop" in access exclusive mode'

it('names who is at the head of a line of sessions that wait, and nobody before or after', async () => {
  await runtime.rows('create table "Shop" (n int)')
  expect(await listLockWaits(runtime.reader)).toEqual([])
  const psql = await openSession('psql')
  await psql.session.query(`begin; ${LOCK}`)
  const { rows } = await psql.session.query<{ at: Date }>('select now() as at')
  const first = await openSession('roundsman w1 engine')
  const beganAt = Date.now()
  const isFirstDone = first.session.query(`begin; ${LOCK}; commit`)
  await waitFor(
    async () => (await runtime.rows('select from pg_locks where not granted')).length === 1,
  )
  const second = await openSession('roundsman handlers')
  const isSecondDone = second.session.query(`begin; ${LOCK}; commit`)

  const [found] = await waitFor(
    async () => {
      const waits = await listLockWaits(runtime.reader)
      return waits[0]?.waiters === 2 ? waits : null
    },
    { timeoutMs: 20_000 },
  )
  expect(found).toEqual({
    waiter: `pid ${first.pid} (roundsman w1 engine)`,
    waiters: 2,
    since: expect.any(String),
    holder: `pid ${psql.pid} (psql, idle in transaction)`,
    holderSince: rows[0]!.at.toISOString(),
  })
  expect(Math.abs(Date.parse(found!.since) - beganAt)).toBeLessThan(2_000)
  expect(Date.now() - beganAt).toBeGreaterThan(5_000)
  const { problems } = await listProblems(runtime.reader, [], new Date())
  const lockWait = problems.find(({ kind }) => kind === 'lockWait')
  expect(lockWait).toMatchObject({ since: found!.since, count: 2 })
  expect(`${lockWait!.text} ${lockWait!.note}`).toContain(
    `pid ${psql.pid} (psql, idle in transaction)`,
  )

  const waits = await listRunWaits(runtime.reader, 'w1:7f')
  expect(waits).toEqual([
    {
      ...{ isOfWorker: true, waiter: `pid ${first.pid} (roundsman w1 engine)` },
      ...{ since: found!.since, holder: found!.holder, holderSince: found!.holderSince },
    },
  ])
  // Of `w1` another worker's name begins alike, and a dot is no other letter.
  expect(await listRunWaits(runtime.reader, 'w:7f')).toEqual([])
  expect(await listRunWaits(runtime.reader, 'w.:7f')).toEqual([])
  const host = await openSession('shop')
  const isHostDone = host.session.query(`begin; ${LOCK}; commit`)
  await waitFor(async () => (await listRunWaits(runtime.reader, 'w2:7f')).length > 0, {
    timeoutMs: 20_000,
  })
  expect(await listRunWaits(runtime.reader, 'w2:7f')).toMatchObject([
    { isOfWorker: false, waiter: `pid ${host.pid} (shop)`, holder: found!.holder },
  ])

  const plain = (await openSession('plain')).session
  await plain.query('set role pg_read_all_data')
  const unseen = '(only pg_read_all_stats may see what it does)'
  const seen = await listLockWaits({ rows: async ({ text }) => (await plain.query(text)).rows })
  expect(seen).toMatchObject([
    {
      waiter: `pid ${first.pid} ${unseen}`,
      holder: `pid ${psql.pid} ${unseen}`,
      holderSince: null,
    },
  ])

  await psql.session.query('commit')
  await Promise.all([isFirstDone, isSecondDone, isHostDone])
  expect(await listLockWaits(runtime.reader)).toEqual([])
})

it('names who has locked the tables of work, though nobody waits for long', async () => {
  const psql = await openSession('psql')
  await psql.session.query('begin; lock table "JobWork", "JobRun" in share mode')
  const { problems } = await waitFor(
    async () => {
      const found = await listProblems(runtime.reader, [], new Date())
      return found.problems[0]?.kind === 'lockWait' ? found : null
    },
    { timeoutMs: 20_000 },
  )
  expect(problems[0]).toMatchObject({
    stage: 'stopped',
    text: expect.stringMatching(
      new RegExp(
        `^pid ${psql.pid} \\(psql, idle in transaction\\) has locked JobRun and JobWork against writes, in a transaction that began \\d+ s ago\\.$`,
      ),
    ),
  })
  await psql.session.query('rollback')
})
