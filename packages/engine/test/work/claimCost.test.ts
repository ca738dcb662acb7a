// Not quick: puts much into the queue, and has workers take some.
import { waitFor } from '@roundsman/testing'
import pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { lookValues, SEEN } from '../../src/store/looks.ts'
import { createWorker } from '../../src/worker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const echo = defineJob({ name: 'echo' })
/** Of a million it is the same in small. */
const DELAYED = 20_000
const AT_ONCE = 50
const RUNS = 100
/** How much is taken meanwhile. */
const TAKEN = 10_000

const { runtime, client } = useClientRuntime()

/** As many callers do, each at its own instant. */
async function delay(): Promise<void> {
  const startAfter = new Date(Date.now() + 86_400_000)
  const items = Array.from({ length: AT_ONCE }, () => ({ payload: {}, options: { startAfter } }))
  await inSession(async (session) => {
    for (let count = 0; count < DELAYED; count += AT_ONCE)
      await client.enqueueMany(session, echo, items)
  })
  await runtime.rows('vacuum analyze')
}

/** Empties the queue. */
async function clear(): Promise<void> {
  await runtime.clear()
  await runtime.rows('vacuum analyze')
}

/** Calls back with a session of its own: it tells what it has read when it ends. */
async function inSession(work: (session: pg.Client) => Promise<void>): Promise<void> {
  const session = new pg.Client({ connectionString: runtime.url, application_name: 'producer' })
  await session.connect()
  try {
    await work(session)
  } finally {
    await session.end()
  }
}

/** Returns how many pages all sessions that are over have read in this database. */
async function countPages(): Promise<number> {
  const [row] = await waitFor(async () => {
    const rows = await runtime.rows<{ pages: number; open: number }>(
      `select (blks_hit + blks_read)::int as pages, (
         select count(*)::int from pg_stat_activity
         where datname = current_database() and (application_name = 'producer' or application_name like 'roundsman %:%')
       ) as open
       from pg_stat_database where datname = current_database()`,
    )
    return rows[0]?.open === 0 && rows
  })
  return row!.pages
}

/** Returns how many pages a worker reads for each of so many runs that come one by one. */
async function pagesPerRun(): Promise<number> {
  const before = await countPages()
  await inSession((session) =>
    whileWorking(async (untilBegun) => {
      const run = async (nth: number, startAfter = new Date()) => {
        await client.enqueue(session, echo, {}, { startAfter })
        await untilBegun(nth)
      }
      // It begins at the start, and the round that gives delayed work its place ends that.
      await run(1)
      await run(2, new Date(Date.now() + 1_000))
      for (let nth = 3; nth < RUNS + 3; nth += 1) await run(nth)
    }),
  )
  return ((await countPages()) - before) / RUNS
}

/**
 * Calls back beside a worker, with what resolves once so many runs have begun there: at once, since each round of the worker
 * reads as well. Its sessions tell what they have read when they end.
 */
async function whileWorking(
  work: (untilBegun: (count: number) => Promise<void>) => Promise<void>,
): Promise<void> {
  let begun = 0
  let tell = () => {}
  const worker = createWorker({
    ...runtime.workerOptions,
    jobs: [echo],
    handlers: {
      async echo() {
        begun += 1
        tell()
      },
    },
  })
  await worker.start()
  try {
    await work(async (count) => {
      while (begun < count) await new Promise<void>((resolve) => (tell = resolve))
    })
  } finally {
    await worker.stop()
  }
}

describe('a worker', () => {
  let pages: { alone: number; beside: number }
  beforeAll(async () => {
    await clear()
    const alone = await pagesPerRun()
    await delay()
    pages = { alone, beside: await pagesPerRun() }
  })

  it('a claim reads as little beside a million delayed pieces', () => {
    expect(pages.beside - pages.alone).toBeLessThan(50)
  })
})

describe('under an old snapshot', () => {
  let pages: { first: number; last: number }
  beforeAll(async () => {
    await clear()
    const session = new pg.Client({ connectionString: runtime.url })
    await session.connect()
    try {
      await session.query('begin isolation level repeatable read')
      await session.query('select 1')
      const first = await pagesPerRun()
      await whileWorking(async (untilBegun) => {
        const items = Array.from({ length: TAKEN }, () => ({ payload: {} }))
        await client.enqueueMany(runtime.prisma, echo, items)
        await untilBegun(TAKEN)
      })
      pages = { first, last: await pagesPerRun() }
    } finally {
      await session.end()
    }
  })

  it('a claim reads as little, however long the snapshot is held', () => {
    expect(pages.last - pages.first).toBeLessThan(50)
  })
})

it('a worker that looks for work reads nothing of what is delayed', async () => {
  const pages = async () => {
    const rows = await runtime.rows<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
      `explain (analyze, buffers, format json) with placed as (select '' as "name") select $1::text, ${SEEN}`,
      ['w1', ...lookValues([{ name: echo.name, behind: [] }]).values],
    )
    const { Plan: plan } = rows[0]!['QUERY PLAN'][0]
    return plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!
  }
  await clear()
  const alone = await pages()
  await delay()
  await pages()
  expect((await pages()) - alone).toBeLessThan(10)
})
