import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { measureBacklog, measureQueue, type JobsClient } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { MAX_MEASURED } from '../../src/read/measureQueue.ts'
import { BACKLOG_SQL } from '../../src/store/backlogSql.ts'
import { countQueueSql, measureQueueSql } from '../../src/store/queueSql.ts'
import {
  LIST_LABELLED_WORK_SQL,
  SUM_LABELLED_WORK_SQL,
  SUM_WAITING_WORK_SQL,
} from '../../src/store/waitingSql.ts'
import { openClientRuntime } from '../openClientRuntime.ts'
import type { TestRuntime } from '../openTestRuntime.ts'

const letter = defineJob({ name: 'letter', description: '' })
const other = defineJob({ name: 'other', description: '' })

let runtime: TestRuntime
let client: JobsClient
beforeAll(async () => {
  ;({ runtime, client } = await openClientRuntime([letter, other]))
})
afterAll(() => runtime.close())

const measure = () => measureQueue(runtime.reader, ['letter', 'other'])

it('has a row for each job and state, also where there is nothing', async () => {
  const nothing = (name: string) =>
    ['ready', 'delayed', 'active', 'deadLetter'].map((state) => ({
      name,
      state,
      count: 0,
      oldestSeconds: null,
    }))
  expect(await measure()).toEqual([...nothing('letter'), ...nothing('other')])
})

it('counts what is in each state, and says for how long the oldest has been in it', async () => {
  const items = Array.from({ length: 8 }, () => ({ payload: {} }))
  await runtime.prisma.$transaction((tx) => client.enqueueMany(tx, letter, items))
  const set = (assignment: string, count: number) =>
    runtime.rows(
      `update pgboss.job set ${assignment} where id in (
         select id from pgboss.job where state = 'created' and start_after <= now() limit ${count}
       )`,
    )
  await set(`start_after = now() + interval '1 hour'`, 3)
  await set(`state = 'active', started_on = now() - interval '20 seconds'`, 1)
  await set(`state = 'failed', completed_on = now() - interval '1 day'`, 1)
  await set(`state = 'completed', completed_on = now()`, 1)
  await set(`start_after = now() - interval '90 seconds'`, 1)

  const rows = (await measure()).filter(({ name }) => name === 'letter')
  expect(rows.map(({ state, count }) => [state, count])).toEqual([
    ['ready', 2],
    ['delayed', 3],
    ['active', 1],
    ['deadLetter', 1],
  ])
  const [ready, delayed, active, dead] = rows.map(({ oldestSeconds }) => oldestSeconds)
  expect(Math.round(ready! / 10)).toBe(9)
  expect(delayed).toBeNull()
  expect(Math.round(active! / 10)).toBe(2)
  expect(Math.round(dead! / 1_000)).toBe(86)
})

it('counts no further than it is told, what is due and what is not', async () => {
  await runtime.rows('delete from pgboss.job')
  await runtime.rows(
    `insert into pgboss.job (name, data, start_after)
     select 'letter', '{"trigger": "queue"}', now() + n * interval '1 hour'
     from (select generate_series(-9, 9)) row(n)`,
  )
  const count = (most: number) => runtime.rows<object>(countQueueSql(most), [['letter']])
  const oldestWaitingAt = expect.any(Date)
  const letters = { name: 'letter', active: 0, deadLetters: 0, oldestWaitingAt }
  expect(await count(2)).toMatchObject([{ ...letters, waiting: 4, delayed: 2 }])
  expect(await count(20)).toMatchObject([{ ...letters, waiting: 19, delayed: 9 }])
})

it('reads dead letters once, however many jobs there are', async () => {
  await runtime.rows('delete from pgboss.job')
  await runtime.rows(
    `insert into pgboss.job (name, data, state, created_on, start_after, completed_on)
     select case when n % 2 = 0 then 'letter' else 'other' end, '{"trigger": "queue"}', (case when n % 20 = 0 then 'failed' else 'created' end)::pgboss.job_state,
            at, at, case when n % 20 = 0 then at end
     from generate_series(1, 20000) n, lateral (select now() - n * interval '1 second') row(at)`,
  )
  await runtime.rows('vacuum analyze pgboss.job')
  const names = ['letter', 'other', ...Array.from({ length: 30 }, (_, n) => `job${n}`)]
  for (const text of [measureQueueSql(MAX_MEASURED), countQueueSql(MAX_MEASURED)]) {
    const nodes = await explain(text, names)
    const letters = nodes.filter((node) =>
      node['Index Name']?.startsWith('job_common_completed_on'),
    )
    expect(letters).toMatchObject([{ 'Actual Loops': 1, 'Actual Rows': 1_000 }])
  }
})

it('reads what waits once, for a label or to count, however many queues there are', async () => {
  await runtime.rows(
    `insert into pgboss.queue
     select (jsonb_populate_record(queue, jsonb_build_object('name', 'job' || n))).*
     from pgboss.queue queue, generate_series(1, 20) n where queue.name = 'letter'`,
  )
  const read = async (text: string, values: unknown[]) => {
    const bound = values.reduceRight<string>(
      (sql, value, at) =>
        sql.replaceAll(`$${at + 1}`, value === null ? 'null' : `'${value as string}'`),
      text,
    )
    const nodes = (await explain(bound, [])).filter(
      (node) => node['Relation Name'] === 'job_common',
    )
    return nodes.reduce(
      (sum, node) =>
        sum + node['Actual Loops'] * (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)),
      0,
    )
  }
  // With the dead letters, which lie between.
  expect(await read(LIST_LABELLED_WORK_SQL, [null, null, null, 51, 'x'])).toBeLessThan(20_100)
  expect(await read(SUM_LABELLED_WORK_SQL, [null, 'x'])).toBeLessThan(20_100)
  expect(await read(SUM_WAITING_WORK_SQL, [null])).toBeLessThan(20_100)
  await runtime.rows(`delete from pgboss.queue where name like 'job%'`)
})

describe('the backlog', () => {
  const backlog = () => measureBacklog(runtime.reader, ['letter', 'other'])
  const MANY = 30_000

  beforeAll(async () => {
    await runtime.rows('delete from pgboss.job')
    await runtime.rows(
      `insert into pgboss.job (name, data, created_on, start_after)
       select 'letter', '{"trigger": "queue"}', at, at
       from generate_series(1, ${MANY}) n, lateral (select now() - interval '1 hour' + n * interval '1 millisecond') row(at)`,
    )
    await runtime.rows('vacuum analyze pgboss.job')
  })

  it('is of the jobs whose work could be taken, with how long it takes at the rate of now', async () => {
    await runtime.rows(
      `insert into "JobRun" (id, name, status, trigger, "workerId", "startedAt", "endedAt")
       select gen_random_uuid(), 'letter', 'success', 'queue', 'w1', at, at
       from generate_series(0, 2999) n, lateral (select now() - n * interval '100 milliseconds') row(at)`,
    )
    const [row, ...others] = await backlog()
    expect(others).toEqual([])
    expect(row).toMatchObject({ name: 'letter', ready: MANY, isCut: false, comingPerSecond: 0 })
    expect(Math.round(row!.oldestMs / 600_000)).toBe(6)
    // Ten a second, computed from the last thousand; less by the time that has passed since.
    expect(row!.takenPerSecond).toBeLessThanOrEqual(10.1)
    expect(row!.takenPerSecond).toBeGreaterThan(2)
    expect(row!.caughtUpInMs).toBeCloseTo((MANY / row!.takenPerSecond) * 1_000, -1)
  })

  it('never ends while more comes than is taken', async () => {
    await runtime.rows('delete from "JobRun"')
    await runtime.rows(
      `insert into pgboss.job (name, data, created_on, start_after)
       select 'other', '{"trigger": "queue"}', at, at
       from generate_series(1, 100) n, lateral (select now() - n * interval '1 second') row(at)`,
    )
    const row = (await backlog()).find(({ name }) => name === 'other')
    expect(row).toMatchObject({ ready: 100, takenPerSecond: 0, caughtUpInMs: null })
    expect(row!.comingPerSecond).toBeGreaterThan(0.2)
  })

  it('tells ages as numbers, whatever instants somebody has written by hand', async () => {
    for (const state of ['created', 'active', 'failed'])
      await runtime.rows(
        `insert into pgboss.job (name, data, state, created_on, start_after, started_on, completed_on)
         values ('other', '{"trigger": "queue"}', '${state}', '-infinity', '-infinity', '-infinity', '-infinity')`,
      )
    const ages = [
      ...(await backlog())
        .filter(({ name }) => name === 'other')
        .map((row) => row.oldestMs / 1_000),
      ...(await measure()).flatMap((row) => (row.name === 'other' && row.oldestSeconds) || []),
    ]
    const sinceTheYear1 = (Date.now() - Date.parse('0001-01-01T00:00:00Z')) / 1_000
    expect(ages.map((age) => Math.round(age / sinceTheYear1))).toEqual([1, 1, 1, 1])
    await runtime.rows(`delete from pgboss.job where created_on = '-infinity'`)
  })

  it('is as old as what has been due for longest, also behind much of a higher priority', async () => {
    await runtime.rows(
      `insert into pgboss.job (name, data, created_on, start_after, priority)
       values ('letter', '{"trigger": "queue"}', now(), now() - interval '2 days', -5)`,
    )
    const [row] = await backlog()
    expect(Math.round(row!.oldestMs / 3_600_000)).toBe(48)
    await runtime.rows('delete from pgboss.job where priority < 0')
  })

  it('is read from the ends of two indexes, however much waits', async () => {
    const [plan] = await runtime.rows<{ 'QUERY PLAN': unknown }>(
      `explain (analyze, format json) ${BACKLOG_SQL.replace('$1::text[]', `'{letter,other}'::text[]`)}`,
    )
    const text = JSON.stringify(plan)
    const scans = [...text.matchAll(/"Index Name":"(\w+)","Relation Name":"job_common"/g)]
    expect(new Set(scans.map(([, index]) => index))).toEqual(
      new Set(['job_common_i11', 'job_common_i14']),
    )
  })
})

interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Rows Removed by Filter'?: number
  'Index Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  Plans?: PlanNode[]
}

/** The nodes of the plan of a statement about these jobs. */
async function explain(text: string, names: readonly string[]): Promise<PlanNode[]> {
  const list = `'{${names.join(',')}}'::text[]`
  const [row] = await runtime.rows<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
    `explain (analyze, format json) ${text.replaceAll('$1::text[]', list)}`,
  )
  const listNodes = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(listNodes)]
  return row === undefined ? [] : listNodes(row['QUERY PLAN'][0].Plan)
}
