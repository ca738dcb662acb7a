import { HOLD_RUNS_SQL } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, type Job, type ScheduleOptions } from '../../src/index.ts'
import type { Connection, Database } from '../../src/database/database.ts'
import { createScheduler } from '../../src/tick/scheduler.ts'
import { useFleet } from '../useFleet.ts'

const fleet = useFleet('2026-05-01T12:00:30Z')
const { rows, at, start, ledger } = fleet

const job = (options: Partial<ScheduleOptions> = {}, name = 'sweep'): Job =>
  defineJob({ name, schedule: { cron: '* * * * *', ...options } })
const sweep = job()
const both = [sweep, job({}, 'other')]

const names = async () =>
  (await rows<{ name: string }>('select "name" from "JobTick" order by "name"')).map(
    ({ name }) => name,
  )

const INSERTS_WORK = /insert into .*"JobWork\\?"/s
/** The database, which calls back before each statement of a transaction. */
const watching = (callBack: (text: string) => unknown): Database => ({
  ...fleet.own,
  transaction: (work, options) =>
    fleet.own.transaction((tx) => work({ ...tx, query: watched(tx, callBack) }), options),
})
const watched =
  (tx: Connection, callBack: (text: string) => unknown): Connection['query'] =>
  async (...asked) => {
    const [asks] = asked
    await callBack(typeof asks === 'string' ? asks : JSON.stringify(asks))
    return await tx.query(...asked)
  }

describe('a due tick', () => {
  it('is written into the ledger, and its work into the queue', async () => {
    const worker = await start('w1', [sweep])
    expect(await ledger()).toEqual([])
    await at('2026-05-01T12:01:00Z')
    await worker.wake()
    await worker.wake()

    expect(
      await rows(
        `select tick."key", tick."outcome", tick."version", tick."workerId", tick."workId" = work."id" as same,
                work."facts" - 'trigger' as facts
         from "JobTick" tick, "JobWork" work`,
      ),
    ).toEqual([
      {
        ...{ key: '', outcome: 'enqueued', version: 1, workerId: 'w1', same: true },
        facts: { scheduledFor: '2026-05-01T12:01:00.000Z' },
      },
    ])
  })

  it('is decided once by several workers', async () => {
    const workers = [await start('w1', [sweep]), await start('w2', [sweep])]
    workers.push(await start('w3', [sweep]), await start('w4', [sweep]))
    for (let minute = 1; minute <= 9; minute++) {
      await at(`2026-05-01T12:0${minute}:00Z`)
      await rows('delete from "JobWork"')
      await Promise.all(workers.map((worker) => worker.wake()))
      expect(await rows('select from "JobWork"')).toHaveLength(1)
    }
    expect(await ledger()).toHaveLength(9)
  })

  it('that nobody was there for is in the ledger, and one run makes up for all', async () => {
    await start('w1', [sweep])
    await at('2026-05-01T12:03:10Z')
    await start('w2', [sweep])

    expect(await ledger()).toEqual([
      '12:01:00 coalesced',
      '12:02:00 coalesced',
      '12:03:00 enqueued',
    ])
  })

  it('is skipped while an earlier run has not ended, whoever started it', async () => {
    const worker = await start('w1', [sweep])
    await rows(
      `insert into "JobRun" ("id", "name", "trigger", "workerId") values (gen_random_uuid(), 'sweep', 'cli', 'somebody')`,
    )
    await rows(HOLD_RUNS_SQL)
    await at('2026-05-01T12:01:00Z')
    await worker.wake()
    await rows('delete from "JobRun"')
    await rows('delete from "JobClaim"')
    for (const minute of [2, 3]) {
      await at(`2026-05-01T12:0${minute}:00Z`)
      await worker.wake()
    }
    expect(await ledger()).toEqual(['12:01:00 skipped', '12:02:00 enqueued', '12:03:00 skipped'])
  })

  it('is decided by the row, whatever the definition of the worker is', async () => {
    const worker = await start('w1', [sweep])
    await start('w2', [job({ cron: '*/2 * * * *' })])
    await at('2026-05-01T12:02:00Z')
    await worker.wake()
    expect(await ledger()).toEqual(['12:02:00 enqueued'])
    expect(await rows('select "workerId", "version" from "JobTick"')).toEqual([
      { workerId: 'w1', version: 2 },
    ])
  })

  it.each<[string, object]>([
    ['whose schema refuses its payload', { payload: z.object({ n: z.number() }) }],
    [
      'whose key function throws',
      {
        partition: {
          key: () => {
            throw new Error('no key')
          },
        },
      },
    ],
  ])('of a job %s has its work all the same, each time', async (_what, part) => {
    const refusing = { ...job({ overlap: 'allow' }), ...part } as Job
    const worker = await start('w1', [refusing])
    for (const minute of [1, 2, 3, 4]) {
      await at(`2026-05-01T12:0${minute}:00Z`)
      await worker.wake()
    }
    expect(await rows('select from "JobWork"')).toHaveLength(4)
  })

  it('is sent no more when the schedule was set back', async () => {
    const worker = await start('w1', [sweep])
    await at('2026-05-01T12:01:00Z')
    await worker.wake()
    const set = `update "JobSchedule" set "cursor" = "cursor" - interval '1 minute', "nextAt" = "nextAt" - interval '1 minute', "dueAt" = "dueAt" - interval '1 minute'`
    await rows(set)
    await worker.wake()
    expect([await ledger(), await rows('select from "JobWork"')]).toEqual([
      ['12:01:00 enqueued'],
      [{}],
    ])
  })

  it('writes neither ledger nor queue when a statement fails, and is made up for', async () => {
    let isBroken = true
    const worker = await start('w1', [sweep], {
      database: watching((text) => {
        if (isBroken && INSERTS_WORK.test(text)) throw new Error('connection lost')
      }),
    })
    await at('2026-05-01T12:01:00Z')
    await worker.wake()
    expect([await ledger(), await rows('select from "JobWork"')]).toEqual([[], []])
    isBroken = false
    await worker.wake()
    expect([await ledger(), await rows('select from "JobWork"')]).toEqual([
      ['12:01:00 enqueued'],
      [{}],
    ])
  })

  it('has its row also where a month by the second was missed, of which ten thousand are counted', async () => {
    const often = [job({ cron: '* * * * * *' }), job({ cron: '0 * * * *' }, 'other')]
    await start('w1', often)
    await at('2026-05-31T12:00:30Z')
    await start('w2', often)
    expect(
      await rows(
        `select count(*)::int as rows, sum("count")::int as ticks, min("scheduledFor") as first, max("scheduledFor") as last
         from "JobTick" where "name" = 'sweep'`,
      ),
    ).toEqual([
      {
        ...{ rows: 101, ticks: 100 + 10_000 },
        first: new Date('2026-05-01T12:00:31Z'),
        last: new Date('2026-05-31T12:00:30Z'),
      },
    ])
  })
})

describe('while another session holds a lock', () => {
  it.each([
    // The worker skips a locked row without waiting.
    ['the row of the schedule', `select from "JobSchedule" where "name" = 'sweep' for update`, []],
    [
      'a row of its ledger',
      `insert into "JobTick" ("name", "scheduledFor", "outcome") values ('sweep', '2026-05-01T12:01:00Z', 'missed')`,
      ['sweep'],
    ],
  ])(
    'on %s, its own ticks stay due, and those of other jobs are decided',
    async (_what, lock, failed) => {
      const told: string[] = []
      const worker = await start('w1', both, { onTick: (name) => void told.push(name) })
      await at('2026-05-01T12:01:00Z')
      await fleet.own.transaction(async (tx) => {
        await tx.query('savepoint before')
        await tx.query(lock)
        await worker.wake()
        expect([await names(), told]).toEqual([['other'], ['other']])
        expect([...new Set(fleet.lines.map(({ name }) => name))]).toEqual(failed)
        await tx.query('rollback to savepoint before')
      })
      await worker.wake()
      expect([await names(), told]).toEqual([
        ['other', 'sweep'],
        ['other', 'sweep'],
      ])
    },
  )

  it('on the list of workers, ticks are decided', async () => {
    const worker = await start('w1', both)
    await at('2026-05-01T12:01:00Z')
    await fleet.own.transaction(async (tx) => {
      await tx.query('lock table "JobWorker" in share mode')
      await worker.wake()
      expect(await names()).toEqual(['other', 'sweep'])
    })
  })
})

describe.each(['cursor', 'nextAt', 'dueAt'])(
  'a row whose %s somebody has set by hand',
  (column) => {
    it.each(['infinity', '-infinity', '0044-03-15Z BC', '290000-01-01Z'])(
      'to %s keeps no other schedule from going on, and its own goes on',
      async (instant) => {
        const worker = await start('w1', both)
        await at('2026-05-01T12:01:00Z')
        await worker.wake()
        await rows(`update "JobSchedule" set "${column}" = $1 where "name" = 'sweep'`, [instant])
        await at('2026-05-01T12:01:10Z')
        await worker.wake()
        await at('2026-05-01T12:02:00Z')
        await worker.wake()
        const ticks = await ledger()
        expect(ticks.map((tick) => tick.slice(0, 8))).toEqual([
          ...['12:01:00', '12:02:00', '12:01:00', '12:02:00'],
        ])
      },
    )
  },
)

it('a clock of the database that is set back by an hour stops no schedule', async () => {
  const worker = await start('w1', [sweep])
  await at('2026-05-01T13:00:00Z')
  await worker.wake()
  await at('2026-05-01T12:00:30Z')
  await worker.wake()
  await at('2026-05-01T12:59:00Z')
  await worker.wake()
  expect(await rows(`select "nextAt" from "JobSchedule"`)).toEqual([
    { nextAt: new Date('2026-05-01T13:00:00Z') },
  ])
})

it('an idle second costs no statement beyond the round, which knows the next tick', async () => {
  let statements = 0
  const counting: Database = {
    ...fleet.own,
    query: (...asked) => (statements++, fleet.own.query(...asked)),
  }
  let onSecond = () => undefined as void
  const scheduler = createScheduler({
    ...{ jobs: both, database: counting, workerId: 'w1' },
    log: { warn: () => undefined, error: () => undefined, info: () => undefined },
  })
  await fleet.signUp('w1', ['sweep', 'other'])
  await scheduler.start((tick) => ((onSecond = tick), { stop: () => undefined }))
  await scheduler.wake()
  scheduler.note({ due: [], changed: [], nextInMs: 3_600_000 })
  statements = 0
  for (let second = 0; second < 60; second++) onSecond()
  await scheduler.wake()
  expect(statements).toBe(1)
  await scheduler.stop()
})

it('a worker that starts uses one connection at a time: those of one deploy share what the server has', async () => {
  let [open, most] = [0, 0]
  const counting =
    <Asked extends unknown[], Answer>(ask: (...asked: Asked) => Promise<Answer>) =>
    async (...asked: Asked) => {
      most = Math.max(most, ++open)
      return await ask(...asked).finally(() => open--)
    }
  const { query, transaction } = fleet.own
  const database = { ...fleet.own, query: counting(query), transaction: counting(transaction) }
  const worker = await start('w1', both, { database })
  await worker.stop()
  expect(most).toBe(1)
})

it('a worker that stops waits for what it is deciding', async () => {
  const gate = Promise.withResolvers<void>()
  const sending = Promise.withResolvers<void>()
  const worker = await start('w1', [sweep], {
    database: watching(async (text) => {
      if (!INSERTS_WORK.test(text)) return
      sending.resolve()
      await gate.promise
    }),
  })
  await at('2026-05-01T12:01:00Z')
  void worker.wake()
  await sending.promise
  let isStopped = false
  const stopped = worker.stop().then(() => (isStopped = true))
  for (let statement = 0; statement < 5; statement++) await ledger()
  expect(isStopped).toBe(false)
  gate.resolve()
  await stopped
  expect(await ledger()).toEqual(['12:01:00 enqueued'])
})

it('many jobs that are due at one instant take as many statements as one', async () => {
  const count = async (jobs: readonly Job[], id: string) => {
    let statements = 0
    const worker = await start(id, jobs, { database: watching(() => void statements++) })
    await at('2026-05-01T12:01:00Z')
    await worker.wake()
    return statements
  }
  const many = await count(both, 'w1')
  await fleet.client.reset()
  await at('2026-05-01T12:00:30Z')
  expect(await count([sweep], 'w2')).toBe(many)
})

it('a tick of a schedule by the second changes no index, where an old snapshot would keep each entry', async () => {
  const changes: object[] = []
  const count = async (tx: Connection) => {
    const { rows: found } = await tx.query<{ updated: number; hot: number }>(
      `select pg_stat_get_xact_tuples_updated(id)::int as updated, pg_stat_get_xact_tuples_hot_updated(id)::int as hot
       from (select 'roundsman."JobSchedule"'::regclass as id) relation`,
    )
    return found[0] as { updated: number; hot: number }
  }
  const worker = await start('w1', [job({ cron: '* * * * * *', overlap: 'allow' })], {
    database: {
      ...fleet.own,
      transaction: (work, options) =>
        fleet.own.transaction(async (tx) => {
          const before = await count(tx)
          const value = await work(tx)
          const { updated, hot } = await count(tx)
          changes.push({ updated: updated - before.updated, hot: hot - before.hot })
          return value
        }, options),
    },
  })
  changes.length = 0
  for (const second of [31, 32, 33]) {
    await at(`2026-05-01T12:00:${second}Z`)
    await worker.wake()
  }
  expect(changes).toEqual(Array.from({ length: 3 }, () => ({ updated: 1, hot: 1 })))
})
