import { beforeAll, describe, expect, it } from 'vitest'
import { measureBacklog } from '../../src/internal.ts'
import { getQueueStats } from '../../src/client.ts'
import {
  LIST_WAITING_WORK_SQL,
  SUM_LABELLED_WORK_SQL,
  SUM_WAITING_WORK_SQL,
} from '../../src/read/listWaitingWork.ts'
import { BACKLOG_SQL } from '../../src/judge/measureBacklog.ts'
import { MAX_MEASURED, measureQueueSql } from '../../src/read/getQueueStats.ts'
import { PLACE_SQL } from '../../src/queue/place.ts'
import { insertPieces, type TestPiece } from '../insertPieces.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { explainPlan, type PlanNode } from '../explainPlan.ts'

const { runtime } = useClientRuntime()

const measure = () => getQueueStats(runtime.reader, ['letter', 'other'])

const letterThat = (state: TestPiece['state'], secondsAgo: number): TestPiece => ({
  name: 'letter',
  state,
  secondsAgo,
})

it('counts as ready what has just become due and has no place yet, and what has lost its workers', async () => {
  await runtime.clear()
  await insertPieces(runtime.rows, [
    { ...letterThat('waiting', 50), losses: 2 },
    letterThat('waiting', 30),
  ])
  await runtime.rows(`update "JobWork" set "place" = null where "losses" = 0`)
  const [ready] = await measure()
  expect(ready).toMatchObject({ name: 'letter', state: 'ready', count: 2 })
  expect(Math.round(ready!.oldestSeconds! / 10)).toBe(5)
})

it('counts no further than it is told, what is due and what is not', async () => {
  await runtime.clear()
  const hours = Array.from({ length: 19 }, (_, n) => n - 9)
  await insertPieces(
    runtime.rows,
    hours.map((hour) => letterThat('waiting', hour * 3_600)),
  )
  const count = (most: number) => runtime.rows<object>(measureQueueSql(most), [['letter']])
  const letters = {
    name: 'letter',
    active: 0,
    deadLetters: 0,
    oldestReadyAt: expect.any(Date),
    oldestDeadLetterAt: null,
  }
  expect(await count(2)).toMatchObject([{ ...letters, ready: 2, delayed: 2 }])
  expect(await count(20)).toMatchObject([{ ...letters, ready: 10, delayed: 9 }])
})

const OTHERS = 50_000

/** Beside much of other jobs that is for the same instant, and that was given up. */
async function fill(): Promise<void> {
  await runtime.clear()
  await runtime.rows(
    `insert into "JobWork" ("id", "name", "rank", "place", "dueAt", "losses", "bytes", "payload")
     select gen_random_uuid(), case when n % 2 = 0 then 'letter' else 'other' end, n % 3, ${PLACE_SQL}, now() - n * interval '1 second',
            case when n % 100 = 0 then 2 else 0 end, 2, '{}'
     from generate_series(20000, 1, -1) n`,
  )
  await runtime.rows(
    `insert into "JobWork" ("id", "name", "place", "dueAt", "bytes", "payload", "key")
     select gen_random_uuid(), 'bulk' || n % 5, null, now() + interval '1 hour', 2, '{}', 'key' || n % 5000 from generate_series(1, ${OTHERS}) n`,
  )
  await runtime.rows(
    `insert into "JobDeadLetter" ("id", "name", "bytes", "payload", "failedAt", "errorCode", "errorMessage")
     select gen_random_uuid(), case when n % 2 = 0 then 'letter' else 'other' end, 2, '{}', now() - n * interval '1 second', 'broken', ''
     from generate_series(1, 10000) n`,
  )
  await runtime.rows('vacuum analyze "JobWork"')
  await runtime.rows('vacuum analyze "JobDeadLetter"')
}

/** How many rows a plan reads of a table. */
const readOf = (nodes: readonly PlanNode[], table: string) =>
  nodes
    .filter((node) => node['Relation Name'] === table)
    .reduce(
      (sum, node) =>
        sum + node['Actual Loops'] * (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)),
      0,
    )

it('reads of its jobs alone what it counts, each piece once, however many other jobs there are', async () => {
  await fill()
  const names = ['letter', 'other', ...Array.from({ length: 30 }, (_, n) => `job${n}`)]
  const nodes = await explainPlan(runtime, measureQueueSql(MAX_MEASURED), [`{${names.join(',')}}`])
  // And the first of each priority, twice.
  expect(readOf(nodes, 'JobWork')).toBeLessThan(20_100)
  expect(readOf(nodes, 'JobDeadLetter')).toBeLessThan(10_100)
})

it('lists and counts what waits by its indexes, and finds the names without reading what has them', async () => {
  const read = async (text: string, values: readonly (string | number | null)[]) =>
    readOf(await explainPlan(runtime, text, values), 'JobWork')
  const { first, last } = LIST_WAITING_WORK_SQL
  for (const sql of [first, last]) {
    expect(await read(sql, [null, null, null, 51, null, null, null, null, null])).toBeLessThan(
      2_000,
    )
    expect(await read(sql, ['letter', null, null, 51, null, null, null, null, null])).toBeLessThan(
      500,
    )
    expect(await read(sql, ['bulk1', null, null, 51, null, null, null, null, null])).toBeLessThan(
      500,
    )
  }
  expect(await read(SUM_WAITING_WORK_SQL, ['letter'])).toBeLessThan(10_100)
  const key = [null, null, null, null, 'key1']
  for (const name of [null, 'bulk1']) {
    expect(await read(first, [name, null, null, 51, ...key])).toBeLessThan(50)
    expect(await read(SUM_LABELLED_WORK_SQL, [name, ...key])).toBeLessThan(50)
  }
  // No index holds labels.
  const all = 20_000 + OTHERS
  for (const label of [
    ['x', null],
    [null, 'x'],
  ]) {
    expect(await read(first, [null, null, null, 51, ...label, null, null, null])).toBeLessThan(
      all + 100,
    )
    expect(await read(SUM_LABELLED_WORK_SQL, [null, ...label, null, null, null])).toBeLessThan(
      all + 100,
    )
  }
})

describe('the backlog', () => {
  const backlog = () => measureBacklog(runtime.reader, ['letter', 'other'], [])
  const MANY = 30_000

  beforeAll(async () => {
    await runtime.clear()
    await runtime.rows(
      `insert into "JobWork" ("id", "name", "dueAt", "bytes", "payload")
       select gen_random_uuid(), 'letter', now() - interval '1 hour' + n * interval '1 millisecond', 2, '{}'
       from generate_series(1, ${MANY}) n`,
    )
    await runtime.rows('vacuum analyze "JobWork"')
  })

  it('is of the jobs whose work could be taken, with how long it takes at the rate of now', async () => {
    await runtime.rows(
      `insert into "JobRun" (id, name, status, trigger, "workerId", "startedAt", "endedAt")
       select gen_random_uuid(), 'letter', 'success', 'queue', 'w1', at, at
       from generate_series(0, 2999) n, lateral (select now() - n * interval '100 milliseconds') row(at)`,
    )
    const [row, ...others] = await backlog()
    expect(others).toEqual([])
    expect(row).toMatchObject({ name: 'letter', ready: MANY, isCut: false })
    expect(Math.round(row!.oldestMs / 600_000)).toBe(6)
    // Ten a second, computed from the last thousand; less by the time that has passed since.
    expect(row!.perSecond).toBeLessThanOrEqual(10.1)
    expect(row!.perSecond).toBeGreaterThan(2)
    expect(row!.caughtUpInMs).toBeCloseTo((MANY / row!.perSecond) * 1_000, -1)
  })

  it('is as old as what has been due for longest, also behind much of a higher priority', async () => {
    await insertPieces(runtime.rows, [{ ...letterThat('waiting', 2 * 86_400), priority: -5 }])
    const [row] = await backlog()
    expect(Math.round(row!.oldestMs / 3_600_000)).toBe(48)
    await runtime.rows('delete from "JobWork" where "rank" > 0')
  })

  it('is read from the ends of an index, however much waits', async () => {
    const nodes = await explainPlan(runtime, BACKLOG_SQL, ['{letter,other}', '{}', '{}'])
    const work = nodes.filter((node) => node['Relation Name'] === 'JobWork')
    expect(work.filter((node) => node['Index Name'] === undefined)).toEqual([])
    expect(readOf(nodes, 'JobWork')).toBeLessThan(MANY + 400)
  })
})
