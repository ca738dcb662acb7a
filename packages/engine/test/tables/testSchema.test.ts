import pg from 'pg'
import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { defineJob, type HandlersFor } from '../../src/index.ts'
import { openTestJobs, type TestJobs } from '../../src/testing.ts'
import { isUnfinishedSql } from '../../src/tick/isUnfinished.ts'
import { measureQueueSql } from '../../src/read/getQueueStats.ts'
import * as blockedRunSql from '../../src/queue/blockedRunSql.ts'
import * as deadLetterSql from '../../src/queue/deadLetterSql.ts'
import { placeDueSql } from '../../src/queue/looks.ts'
import * as waitingSql from '../../src/queue/waitingSql.ts'
import { createTestSchema } from '../../src/tables/testSchema.ts'
import type { PlainTransaction } from '../fixtures/plainClient.ts'
import { usePlainClient } from '../usePlainClient.ts'

const work = defineJob({
  name: 'work',
  payload: z.strictObject({ failures: z.number() }),
  retry: { limit: 1, delayMs: 30_000 },
})
const hourly = defineJob({ name: 'hourly', schedule: { cron: '0 * * * *' } })
const limited = defineJob({
  name: 'limited',
  rateLimit: { limit: 1, perMs: 60_000 },
})
const guarded = defineJob({ name: 'guarded', guard: { maxRows: 1 } })
const jobs = [work, hourly, limited, guarded] as const
type Jobs = typeof jobs

const handlers: HandlersFor<Jobs, PlainTransaction> = {
  async work({ payload, run, batch, enqueue, now }) {
    await batch(async () => ({ done: 1 }))
    if (run.attempt <= payload.failures) throw new Error('refused')
    await batch(async (tx) => {
      await enqueue(tx, limited, {}, { startAfter: new Date(now().getTime() - 1) })
      return { done: 1 }
    })
  },
  hourly: async () => undefined,
  limited: async () => undefined,
  guarded: ({ guard }) => guard({ total: async () => 9, due: async () => 9 }),
}

/** SQL that asks PostgreSQL for the real time. */
const REAL_TIME =
  /\b(?:now|(?:clock|statement|transaction)_timestamp|timeofday)\s*\(|\b(?:current_(?:date|time|timestamp)|localtime(?:stamp)?)\b|'(?:now|today|tomorrow|yesterday)'/i
/** The only such question allowed: whether a process lives. */
const LIVES = /"heartbeatAt" >= statement_timestamp\(\)/g

const FAR = ['2001-02-03T04:05:06.000Z', '2099-10-11T12:13:14.000Z'].map((iso) => new Date(iso))

const { database, client } = usePlainClient()

describe('by the time of a test', () => {
  it('everything is due, at whatever time that is', async () => {
    const [past, future] = await Promise.all(FAR.map(async (now) => await within(now, tellAll)))
    expect(past).toEqual(future)
    expect(past).toContain('redriven 1')
    expect(past?.filter((line) => line.includes('limited success'))).toHaveLength(4)
  })

  it('everything is recorded', async () => {
    const [past] = FAR as [Date]
    const real = await within(past, async (test) => {
      await tellAll(test)
      return await findRealTimes(test.schema)
    })
    expect(real).toEqual([])
  })

  it('each statement asks', async () => {
    const sent = new Set<string>()
    const [past] = FAR as [Date]
    await within(past, async (test) => {
      const query = vi.spyOn(pg.Client.prototype, 'query')
      await tellAll(test)
      for (const [asked] of query.mock.calls as unknown as [string | { text: string }][]) {
        sent.add(typeof asked === 'string' ? asked : asked.text)
      }
      query.mockRestore()
    })
    expect([...sent].filter((text) => REAL_TIME.test(text.replace(LIVES, '')))).toEqual([])
    for (const part of [
      /for update skip locked[^]*insert into "\w+"\."JobClaim"/,
      /insert into "\w+"\."JobWork"/,
      /"JobSchedule" schedule[^]*for update skip locked/,
      /"JobThrottle"/,
      /'guard_blocked'/,
    ]) {
      const asking = [...sent].filter((text) => part.test(text))
      expect(
        asking.filter((text) => text.includes('."testNow"()')),
        String(part),
      ).not.toEqual([])
    }
  })

  it('statements ask that no test sends', () => {
    const modules = [blockedRunSql, deadLetterSql, waitingSql]
    const texts = modules.flatMap((module) => Object.values<unknown>(module))
    const made = [isUnfinishedSql('$1', '$2'), measureQueueSql(1), placeDueSql('$1')]
    const asking = [...texts, ...made].filter(
      (text) => typeof text === 'string' && REAL_TIME.test(text),
    ) as string[]
    expect(asking.length).toBeGreaterThanOrEqual(6)
    const { sql } = createTestSchema('test')
    expect(asking.filter((text) => REAL_TIME.test(sql(text)))).toEqual([])
  })
})

async function within<Value>(
  now: Date,
  act: (test: TestJobs<Jobs>) => Promise<Value>,
): Promise<Value> {
  await using test = await openTestJobs({
    databaseUrl: database.url,
    client,
    jobs,
    handlers,
    now,
  })
  return await act(test)
}

/** Everything that a test may ask, with times counted from its beginning. */
async function tellAll(test: TestJobs<Jobs>): Promise<string[]> {
  const startedAt = test.now().getTime()
  const told: string[] = []
  const at = (date: Date | null) => (date === null ? '' : String(date.getTime() - startedAt))
  const drain = async () => {
    for (const run of await test.drain()) {
      const { name, status, attempt, scheduledFor, error } = run
      const isOnTheHour = scheduledFor === null || scheduledFor.getTime() % 3_600_000 === 0
      told.push(`${at(run.endedAt)} ${name} ${status} ${attempt} ${isOnTheHour} ${error?.code}`)
      if (error?.code === 'guard_blocked') blocked = run.id
    }
    for (const job of jobs) {
      for (const waiting of await test.enqueued<Jobs[number]>(job)) {
        told.push(`${job.name} waits until ${at(waiting.startAfter)}`)
      }
    }
  }
  let blocked = ''
  const by = { actor: 'olga@example.com', reason: 'checked' }
  const day = 86_400_000

  await test.enqueueNow(work, { failures: 1 })
  await test.enqueueNow(work, { failures: 2 }, { startAfter: new Date(startedAt + 60_000) })
  await test.enqueueManyNow(work, [{ payload: { failures: 0 }, options: { uniqueKey: 'a' } }])
  await test.enqueueNow(guarded, {})
  await drain()
  for (const ms of [29_999, 1, 29_999, 1, 29_999, 1, day - 3_600_000]) {
    await test.advance(ms)
    await drain()
  }
  told.push((await test.approveRun(blocked, by)).kind)
  const { redriven } = await test.redriveDeadLetters('all', by)
  told.push(`redriven ${redriven}`)
  await test.requestRun(hourly, by)
  await drain()
  await test.advance(day)
  told.push((await test.approveRun(blocked, by)).kind)
  await test.run(work, { failures: 0 })
  await drain()
  return told
}

/** Columns that hold an instant of today, as `table.column`. */
async function findRealTimes(schema: string): Promise<string[]> {
  const columns = await client.$queryRawUnsafe<{ table: string; column: string }[]>(
    `select table_name as "table", column_name as "column" from information_schema.columns
     where table_schema = $1 and data_type like 'timestamp%'`,
    schema,
  )
  expect(columns.length).toBeGreaterThan(20)
  const real = await Promise.all(
    columns.map(async ({ table, column }) => {
      const found = await client.$queryRawUnsafe(
        `select 1 from "${schema}"."${table}"
         where abs(extract(epoch from "${column}" - clock_timestamp())) < 86400 * 365 limit 1`,
      )
      return found.length > 0 ? [`${table}.${column}`] : []
    }),
  )
  return real.flat()
}
