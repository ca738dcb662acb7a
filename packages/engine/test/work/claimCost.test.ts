// Not quick: puts much into the queue, and takes much from it.
import { openForTests, waitFor } from '@roundsman/testing'
import pg from 'pg'
import { beforeEach, expect, it, onTestFinished } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { readRound } from '../../src/worker/rounds.ts'
import type { Database } from '../../src/database/database.ts'
import { bind, prepared } from '../../src/database/prepared.ts'
import { lookValues, SEEN } from '../../src/queue/looks.ts'
import { createSchema } from '../../src/database/schema.ts'
import { checkTables } from '../../src/tables/tablesState.ts'
import { createClaimer } from '../../src/work/claimer.ts'
import { createFloors } from '../../src/work/floors.ts'
import { openPostgres } from '../../src/worker/openPostgres.ts'
import { openTestQueue, toTestWork } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const echo = defineJob({ name: 'echo' })
/** Of a million it is the same in small. */
const DELAYED = 20_000
const MUCH_DELAYED = 100_000
/** How much is taken meanwhile. */
const TAKEN = 10_000
const AT_ONCE = 1_000
/** PostgreSQL keeps a plan after five. */
const BEFORE = 10

const runtime = useTestRuntime()
const queue = openForTests(() => openTestQueue(runtime, [echo]))

beforeEach(async () => {
  await runtime.clear()
  await runtime.rows('vacuum analyze')
})

async function enqueue(count: number, startAfter = new Date()): Promise<void> {
  for (let left = count; left > 0; left -= AT_ONCE) {
    const length = Math.min(left, AT_ONCE)
    const items = Array.from({ length }, () => ({ payload: {}, options: { startAfter } }))
    await queue.client.enqueueManyNow(echo, items)
  }
}

async function delay(): Promise<void> {
  await enqueue(DELAYED, new Date(Date.now() + 86_400_000))
  await runtime.rows('vacuum analyze')
}

interface Explained {
  'QUERY PLAN': [{ Plan: { 'Shared Hit Blocks': number; 'Shared Read Blocks': number } }]
}

function countPages([row]: readonly Explained[]): number {
  const { Plan: plan } = row!['QUERY PLAN'][0]
  return plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
}

/** Takes work from the queue as a worker does that has no other job, on the connections of a worker. */
async function openTaker() {
  const { url: databaseUrl, log } = runtime
  const schema = createSchema('public')
  const own = { databaseUrl, schema, workerId: 'taker', traceEnqueue: undefined, log }
  const postgres = openPostgres({ ...own, what: 'engine' })
  onTestFinished(() => postgres.close())
  const { database, session } = postgres
  await checkTables(database)
  await session.start()
  const floors = createFloors()
  const open = (through: Database) =>
    createClaimer({ database: through, workerId: 'taker', now: () => new Date(), floors })
  const claimer = open(database)
  let pages = 0
  const explaining = open({
    ...database,
    async query(statement, values = []) {
      const { name } = statement as { name: string }
      const text = `explain (analyze, buffers, format json) execute ${name}(${values.map(toLiteral).join(', ')})`
      pages = countPages((await database.query<Explained>(text)).rows)
      return { rows: [{ facts: {} }] as never[], rowCount: 1 }
    },
  })

  async function take(count: number): Promise<void> {
    for (let left = count; left > 0; left -= AT_ONCE) {
      const limit = Math.min(left, AT_ONCE)
      const { work } = await claimer.claim(echo, limit, { hasBacklog: count > limit })
      expect(work).toHaveLength(limit)
      await queue.complete(work.map(toTestWork))
    }
  }

  return {
    take,
    /** Returns how many pages the claim's statement reads that takes one piece which comes after others. */
    async pagesOfNext(): Promise<number> {
      for (let n = 0; n < BEFORE; n++) {
        await enqueue(1)
        await take(1)
      }
      // Claims begin behind what is taken once the transactions that wrote before have ended.
      await waitFor(async () => {
        const request = floors.look(echo.name)
        const { firsts, ...seen } = await readRound(runtime.database, 'taker', [request], [])
        floors.move(request, seen, firsts.get(echo.name) ?? new Map())
        return request.behind.every(({ place, hint }) => place === hint)
      })
      await enqueue(1)
      await explaining.claim(echo, 1)
      expect(await runtime.rows('select from "JobWork" where "dueAt" <= now()')).toEqual([])
      return pages
    },
  }
}

/** Of a parameter that is a date, a string, or an array of strings, numbers and nulls. */
function toLiteral(value: unknown): string {
  const text = (one: unknown) => (one === null ? 'null' : JSON.stringify(one))
  if (Array.isArray(value)) return pg.escapeLiteral(`{${value.map(text).join(',')}}`)
  if (value === null) return 'null'
  if (value instanceof Date) return pg.escapeLiteral(value.toISOString())
  return pg.escapeLiteral(typeof value === 'string' ? value : JSON.stringify(value))
}

it('a claim reads as little beside a million delayed pieces', async () => {
  const taker = await openTaker()
  const alone = await taker.pagesOfNext()
  await delay()
  expect((await taker.pagesOfNext()) - alone).toBeLessThan(50)
})

it('a claim reads as little beside much delayed work of another job, of which PostgreSQL has no statistics', async () => {
  const taker = await openTaker()
  const alone = await taker.pagesOfNext()
  await runtime.rows(
    `insert into "JobWork" ("id", "name", "place", "dueAt", "bytes")
     select gen_random_uuid(), 'other', null, now() + interval '1 day', 2 from generate_series(1, ${MUCH_DELAYED})`,
  )
  expect((await taker.pagesOfNext()) - alone).toBeLessThanOrEqual(2)
})

it('a claim reads as little, however long the snapshot is held', async () => {
  const session = new pg.Client({ connectionString: runtime.url })
  await session.connect()
  try {
    await session.query('begin isolation level repeatable read')
    await session.query('select 1')
    const taker = await openTaker()
    const first = await taker.pagesOfNext()
    await enqueue(TAKEN)
    await taker.take(TAKEN)
    expect((await taker.pagesOfNext()) - first).toBeLessThan(50)
  } finally {
    await session.end()
  }
})

it('a claim reads as little beside a transaction that has written to other tables and stays open', async () => {
  const host = new pg.Client({ connectionString: runtime.url })
  await host.connect()
  try {
    await host.query('begin; create table "Order" ()')
    const taker = await openTaker()
    const first = await taker.pagesOfNext()
    await enqueue(TAKEN)
    await taker.take(TAKEN)
    expect((await taker.pagesOfNext()) - first).toBeLessThan(50)
  } finally {
    await host.end()
  }
})

it('a worker that looks for work reads nothing of what is delayed', async () => {
  const look = prepared(
    'look',
    `explain (analyze, buffers, format json) with placed as (select '' as "name") select ${SEEN}`,
  )
  const { values } = lookValues([{ name: echo.name, behind: [] }])
  const pages = async () => countPages(await runtime.rows<Explained>(look.text, bind(look, values)))
  const alone = await pages()
  await delay()
  await pages()
  expect((await pages()) - alone).toBeLessThan(10)
})
