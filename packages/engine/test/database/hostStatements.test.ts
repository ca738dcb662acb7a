// Not quick: fills tables.
import pg from 'pg'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { insertPieces } from '../insertPieces.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const job = defineJob({ name: 'job' })
const { runtime, client } = useClientRuntime()
const by = { actor: 'somebody', reason: 'a test' }
/** Of a plan that is dearer, PostgreSQL compiles the expressions, which can take a second: `jit_above_cost` by default. */
const COMPILED_ABOVE = 100_000
const MANY = 100
const MUCH = 30_000

type Acts = Record<string, (tx: pg.Client) => Promise<unknown>>

const items = (options: (n: number) => object, count = MANY) =>
  Array.from({ length: count }, (_, n) => ({ payload: {}, options: options(n) }))

const ENQUEUES: Acts = {
  enqueue: (tx) => client.enqueue(tx, job, {}),
  'enqueue with a unique key': (tx) => client.enqueue(tx, job, {}, { uniqueKey: '0' }),
  enqueueMany: (tx) =>
    client.enqueueMany(
      tx,
      job,
      items(() => ({})),
    ),
  'enqueueMany with unique keys': (tx) =>
    client.enqueueMany(
      tx,
      job,
      items((n) => ({ uniqueKey: `${n}` })),
    ),
  'enqueueMany that replaces': (tx) =>
    client.enqueueMany(
      tx,
      job,
      items((n) => ({ uniqueKey: `${n}`, onConflict: 'replace' })),
    ),
}

const ACTS: Acts = {
  requestRun: (tx) => client.requestRun(job, by, { tx }),
  runAgain: async (tx) => client.runAgain(job, await idOf('JobRun'), by, { tx }),
  approveRun: async (tx) => client.approveRun(await idOf('JobRun'), by, { tx }),
  cancelRun: async (tx) => client.cancelRun(await idOf('JobRun'), by, { tx }),
  cancelWork: (tx) => client.cancelWork({ job, all: true }, by, { tx }),
  postponeWork: (tx) =>
    client.postponeWork({ job, all: true }, { ...by, startAfter: new Date('2100-01-01') }, { tx }),
  prioritiseWork: (tx) => client.prioritiseWork({ job, all: true }, { ...by, priority: 3 }, { tx }),
  redriveDeadLetters: (tx) => client.redriveDeadLetters('all', by, { tx }),
  discardDeadLetters: (tx) => client.discardDeadLetters('all', by, { tx }),
  pauseQueue: (tx) => client.pauseQueue('job', by, { tx }),
  resumeQueue: (tx) => client.resumeQueue('job', by, { tx }),
  pauseSchedule: (tx) => client.pauseSchedule('job', by, { tx }),
  'schedules.upsertMany': (tx) => client.schedules.upsertMany(tx, job, schedules()),
  'schedules.trigger': (tx) => client.schedules.trigger(tx, job, '1', by),
  'schedules.delete': (tx) => client.schedules.delete(tx, job, '1', by),
}

const schedules = () =>
  Array.from({ length: MANY }, (_, n) => ({ key: `${n}`, cron: '0 4 * * *', payload: {} }))
const idOf = (table: string) => runtime.value<string>(`select "id"::text from "${table}" limit 1`)

beforeAll(async () => {
  for (const table of ['JobRun', 'JobWork', 'JobClaim', 'JobUnique', 'JobDeadLetter'])
    await runtime.rows(`alter table "${table}" set (autovacuum_enabled = off)`)
})

/** A connection of a host, without our settings, of which each statement passes `send`. */
async function openHost(
  send: (ask: pg.Client['query'], text: string, values: unknown[]) => Promise<unknown>,
): Promise<{ host: pg.Client; ask: pg.Client['query'] }> {
  const host = new pg.Client({ connectionString: runtime.url })
  await host.connect()
  onTestFinished(() => host.end())
  const ask = host.query.bind(host)
  host.query = ((given: string | pg.QueryConfig, values: unknown[] = []) =>
    typeof given === 'string'
      ? send(ask, given, values)
      : send(ask, given.text, given.values ?? [])) as typeof host.query
  return { host, ask }
}

/** What PostgreSQL expects of the dearest statement of each act. */
async function costsOf(acts: Acts): Promise<Record<string, number>> {
  const costs: Record<string, number> = {}
  let name = ''
  const { host, ask } = await openHost(async (send, text, values) => {
    const { rows } = await send<Explained>(`explain (format json) ${text}`, values)
    costs[name] = Math.max(costs[name] ?? 0, rows[0]!['QUERY PLAN'][0].Plan['Total Cost'])
    return await send(text, values)
  })
  for (const [act, carryOut] of Object.entries(acts)) {
    name = act
    await ask('begin')
    await carryOut(host)
    await ask('rollback')
  }
  return costs
}

interface Explained {
  'QUERY PLAN': [
    { Plan: { 'Total Cost': number; 'Shared Hit Blocks': number; 'Shared Read Blocks': number } },
  ]
}

describe('a statement on the connection of a host, of whose tables PostgreSQL has no statistics', () => {
  it('is never so dear that PostgreSQL compiles it', async () => {
    const dear = async () =>
      Object.entries(await costsOf({ ...ENQUEUES, ...ACTS })).filter(
        ([, cost]) => cost >= COMPILED_ABOVE,
      )
    const pieces = (['waiting', 'active', 'failed'] as const).flatMap((state) =>
      Array.from({ length: MANY }, (_, n) => ({ name: 'job', state, key: `${state} ${n}` })),
    )
    await insertPieces(runtime.rows, pieces)
    await runtime.rows(insertRunsSql(1))
    expect(await dear()).toEqual([])
    await runtime.rows(insertRunsSql(MUCH))
    expect(await dear()).toEqual([])
  })

  it('reads no more by a plan that was kept when little waited', async () => {
    await runtime.clear()
    let last: { name: string; values: unknown[] } = { name: '', values: [] }
    const { host, ask } = await openHost(async (send, text, values) => {
      const at = Object.keys(names).length
      last = { name: (names[text] ??= `kept_${at}`), values }
      return await send({ ...last, text })
    })
    const names: Record<string, string> = {}
    const blocksOf = async (enqueue: (tx: pg.Client) => Promise<unknown>) => {
      // The work of the first try waits, and the others meet its keys. PostgreSQL keeps a plan after five.
      for (let n = 0; n < 10; n++) {
        await ask('begin')
        await enqueue(host)
        await ask('commit')
      }
      await ask('begin')
      const values = last.values.map((value) =>
        value === null ? 'null' : pg.escapeLiteral(value as string),
      )
      await ask('delete from "JobWork" where "uniqueKey" is null')
      const { rows } = await ask<Explained>(
        `explain (analyze, buffers, format json) execute ${last.name}(${values.join(', ')})`,
      )
      await ask('rollback')
      const { Plan: plan } = rows[0]!['QUERY PLAN'][0]
      return plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
    }
    const blocks = async () => {
      const counts: number[] = []
      for (const enqueue of Object.values(FEW)) counts.push(await blocksOf(enqueue))
      return counts
    }
    const before = await blocks()
    await runtime.rows(insertRunsSql(MUCH))
    await runtime.rows(
      `with work as (
         insert into "JobWork" ("id", "name", "place", "dueAt", "bytes", "uniqueKey")
         select gen_random_uuid(), 'other', null, now() + interval '1 day', 2, n::text from generate_series(1, ${MUCH}) n
         returning "id", "name", "uniqueKey"
       ) insert into "JobUnique" ("workId", "name", "key") select * from work`,
    )
    const after = await blocks()
    // The trees of indexes have become higher.
    for (const [at, count] of after.entries()) expect(count - before[at]!).toBeLessThan(20)
  })
})

const FEW: Acts = {
  one: (tx) => client.enqueue(tx, job, {}),
  keyed: (tx) => client.enqueue(tx, job, {}, { uniqueKey: 'one' }),
  list: (tx) =>
    client.enqueueMany(
      tx,
      job,
      items((n) => ({ uniqueKey: `two ${n}` }), 2),
    ),
}

const insertRunsSql = (count: number) => `
  insert into "JobRun" ("id", "name", "status", "trigger", "startedAt", "endedAt", "workerId", "workId")
  select gen_random_uuid(), 'job', 'success', 'queue', now(), now(), 'w', gen_random_uuid() from generate_series(1, ${count})`
