import type { PgBoss } from 'pg-boss'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { asDb, openBoss } from '../../src/store/boss.ts'
import type { Envelope } from '../../src/store/envelope.ts'
import type { Connection } from '../../src/store/database.ts'
import { QueueMissingError, sendWork } from '../../src/store/sendWork.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const ENVELOPE: Envelope = {
  payload: { text: `it's "quoted", {braced} and \\ escaped` },
  trigger: 'schedule',
  scheduledFor: '2026-05-01T12:01:00.000Z',
}

/** Settings no two of which share a value. */
const QUEUES = {
  plain: {},
  every: {
    retryLimit: 7,
    retryDelay: 11,
    retryBackoff: true,
    retryDelayMax: 13,
    expireInSeconds: 17,
    retentionSeconds: 19,
    deleteAfterSeconds: 23,
    heartbeatSeconds: 29,
    deadLetter: 'plain',
    notify: true,
  },
  apart: { partition: true, notify: true, retryLimit: 0 },
  short: { policy: 'short' },
} as const satisfies Record<string, Parameters<PgBoss['createQueue']>[1]>

let runtime: TestRuntime
let boss: PgBoss

beforeAll(async () => {
  runtime = await openTestRuntime([])
  boss = openBoss(asDb(runtime.database), runtime.database.schema)
  await boss.start()
  for (const [name, options] of Object.entries(QUEUES)) await boss.createQueue(name, options)
})

afterAll(async () => {
  await boss.stop({ graceful: false, close: false })
  await runtime.close()
})

beforeEach(() => runtime.rows('delete from pgboss.job'))

const work = (name: string) => ({ id: crypto.randomUUID(), name, envelope: ENVELOPE })
const inTransaction = <Value>(run: (tx: Connection) => Promise<Value>) =>
  runtime.database.transaction(run)

/** Every column that pg-boss has but the id, and the table that the row is in. */
async function readRow(tx: Connection): Promise<object> {
  const { rows } = await tx.query<{ row: object; in: string }>(
    `select to_jsonb(job) - 'id' as "row", tableoid::regclass::text as "in" from pgboss.job`,
  )
  expect(rows).toHaveLength(1)
  return { ...rows[0] }
}

describe('sendWork', () => {
  it.each(Object.keys(QUEUES))(
    'makes the row that pg-boss makes, of the queue %s',
    async (name) => {
      // In one transaction, so that both see the same time.
      const [theirs, ours] = await inTransaction(async (tx) => {
        await boss.send(name, ENVELOPE, { id: crypto.randomUUID(), db: asDb(tx) })
        const sent = await readRow(tx)
        await tx.query('delete from pgboss.job')
        await sendWork(tx, [work(name)])
        return [sent, await readRow(tx)]
      })
      expect(ours).toEqual(theirs)
    },
  )

  it.each([
    { startAfter: new Date('2031-02-03T04:05:06.789Z') },
    { priority: -7 },
    { uniqueKey: `it's "one"` },
  ])('makes the row that pg-boss makes, with %j', async ({ uniqueKey, ...options }) => {
    const [theirs, ours] = await inTransaction(async (tx) => {
      const keyed = uniqueKey === undefined ? {} : { singletonKey: uniqueKey }
      await boss.send('every', ENVELOPE, { ...options, ...keyed, db: asDb(tx) })
      const sent = await readRow(tx)
      await tx.query('delete from pgboss.job')
      const piece = { ...work('every'), ...options, ...(uniqueKey && { uniqueKey }) }
      expect(await sendWork(tx, [piece], { returnIds: true })).toMatchObject({ ids: [piece.id] })
      return [sent, await readRow(tx)]
    })
    expect(ours).toEqual(theirs)
  })

  it('sends to many queues at once, each piece under its id', async () => {
    const pieces = ['plain', 'every', 'apart', 'plain'].map(work)
    let statements = 0
    await inTransaction((tx) =>
      sendWork({ ...tx, query: (...args) => (statements++, tx.query(...args)) as never }, pieces),
    )
    const rows = await runtime.rows<{ id: string; name: string }>('select id, name from pgboss.job')
    expect(statements).toBe(1)
    expect(new Map(rows.map(({ id, name }) => [id, name]))).toEqual(
      new Map(pieces.map(({ id, name }) => [id, name])),
    )
  })

  it('leaves out what the policy of its queue refuses, as pg-boss does', async () => {
    await inTransaction((tx) => sendWork(tx, [work('short'), work('short'), work('plain')]))
    const rows = await runtime.rows('select name from pgboss.job order by name')
    expect(rows).toEqual([{ name: 'plain' }, { name: 'short' }])
  })

  it('sends in the order that it is given, however many queues there are', async () => {
    await runtime.rows(
      `insert into pgboss.queue (name, policy, retry_limit, retry_delay, retry_backoff, expire_seconds, retention_seconds,
         deletion_seconds, partition, table_name)
       select 'other' || n, policy, retry_limit, retry_delay, retry_backoff, expire_seconds, retention_seconds,
         deletion_seconds, partition, table_name
       from pgboss.queue, generate_series(1, 1500) n where name = 'plain'`,
    )
    await runtime.rows('analyze pgboss.queue')
    for (const count of [5, 90, 500]) {
      const pieces = Array.from({ length: count }, (_, n) => ({
        ...work('plain'),
        uniqueKey: `${count} ${n}`,
      }))
      const { ids } = await inTransaction((tx) => sendWork(tx, pieces, { returnIds: true }))
      expect(ids).toEqual(pieces.map(({ id }) => id))
    }
    await runtime.rows('delete from pgboss.job')
    await runtime.rows(`delete from pgboss.queue where name like 'other%'`)
  })

  it.each([1, 200])('loses none of %d whose queue comes while it looks for it', async (count) => {
    const pieces = Array.from({ length: count }, () => work('late'))
    let statements = 0
    await inTransaction((tx) =>
      sendWork(
        {
          ...tx,
          async query(...of) {
            const result = await tx.query(...of)
            if (statements++ === 0) await boss.createQueue('late')
            return result as never
          },
        },
        pieces,
      ),
    )
    expect(await runtime.rows(`select from pgboss.job where name = 'late'`)).toHaveLength(count)
    await runtime.rows(`delete from pgboss.job`)
    await boss.deleteQueue('late')
  })

  it('names the queues that are missing, and sends nothing', async () => {
    const refused = inTransaction((tx) =>
      sendWork(tx, ['plain', 'gone', 'ghost', 'gone'].map(work)),
    )
    await expect(refused).rejects.toThrow(QueueMissingError)
    await expect(refused).rejects.toMatchObject({ jobs: ['ghost', 'gone'] })
    await expect(refused).rejects.toThrow('ghost, gone')
    expect(await runtime.rows('select from pgboss.job')).toEqual([])
  })
})
