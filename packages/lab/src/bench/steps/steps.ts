import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { formatNumber, ms, table } from '../../markdown.ts'
import { startProcess } from '../../startProcess.ts'
import { compare, median, summarise } from '../../statistics.ts'
import type { Bench } from '../openBench.ts'
import { withClient, type Server } from '../openServer.ts'
import { defineScenario, type Target } from '../scenario.ts'
import { startWorkers } from '../startWorkers.ts'
import { durationsOf, withDurations } from '../statementDurations.ts'

/** In each round. */
interface StepFigures {
  runs: number
  perSecond: { roundsman: number[]; dbos: number[] }
  lone: { stepMs: number[]; insertMs: number[] }
  growth: { firstMs: number[]; lastMs: number[] }
  tx: { txMs: number[]; batchMs: number[] }
  /** Pieces a second whose handlers call no step. */
  idle: { durable: number[]; plain: number[] }
  signalMs: number[]
  map: { children: number; mapMs: number[]; drainMs: number[] }
  sleepers: { count: number; roundMs: number; claimMs: number; claimAloneMs: number }
}

const SIDES = ['roundsman', 'dbos'] as const

export const steps = defineScenario<StepFigures>({
  name: 'steps',
  title: 'Durable steps',
  rounds: 3,
  measure: measureSteps,
  targets: ({ runs, perSecond, lone, growth, tx, idle, signalMs, map, sleepers }) => {
    const times = (what: string, measured: Target['measured'], bound: Partial<Target>): Target => ({
      ...{ what, measured, unit: '×' },
      ...bound,
    })
    const waiting = `${formatNumber(sleepers.count)} pieces that wait in a step`
    return [
      times(
        `steps/s of ${runs} runs with 20 steps each, to DBOS`,
        compare(perSecond.roundsman, perSecond.dbos),
        { atLeast: 5 },
      ),
      times('a lone step, to an insert and its commit', compare(lone.stepMs, lone.insertMs), {
        atMost: 1.5,
      }),
      times(
        'the last hundred of a thousand steps, to the first',
        compare(growth.lastMs, growth.firstMs),
        { atMost: 1.1 },
      ),
      times('transactions by `step.tx`, to `batch`', compare(tx.batchMs, tx.txMs), {
        atLeast: 0.9,
      }),
      times(
        'pieces/s of a job with steps that calls none, to one without',
        compare(idle.durable, idle.plain),
        { atLeast: 0.7 },
      ),
      {
        ...{ what: 'a signal to the line after its wait, p50', unit: 'ms', atMost: 10 },
        measured: summarise(signalMs),
      },
      times(
        `\`step.map\` of ${formatNumber(map.children)}, to the same enqueued and drained`,
        compare(map.mapMs, map.drainMs),
        { atMost: 1.5 },
      ),
      {
        ...{ what: `a round beside ${waiting}`, unit: 'ms', atMost: 5 },
        measured: sleepers.roundMs,
      },
      times(
        `a claim beside ${waiting} under an old snapshot, to one without`,
        sleepers.claimMs / sleepers.claimAloneMs,
        { atMost: 1.1 },
      ),
    ]
  },
  render({ runs, perSecond, lone, growth, tx, idle, map, sleepers }) {
    const row = (what: string, values: readonly number[], unit: (value: number) => string) => [
      what,
      unit(summarise(values).median),
    ]
    const second = (value: number) => `${formatNumber(value)}/s`
    return `${runs} runs of 20 steps that return a number begin at once, in a worker with room for all of them; and as many workflows of DBOS with its
default settings. The time runs until all ends are stored. A lone step is one after the other in a single run, with an insert by the bare driver
after each. All children of a map and all pieces that are drained do nothing. What waits in a step waits for an instant or for a signal, half of it each.

${table(
  ['', 'median'],
  [
    row('steps, Roundsman', perSecond.roundsman, second),
    row('steps, DBOS', perSecond.dbos, second),
    row('a lone step', lone.stepMs, ms),
    row('an insert and its commit', lone.insertMs, ms),
    row('one of the first hundred steps', growth.firstMs, ms),
    row('one of the last hundred of a thousand', growth.lastMs, ms),
    row('transactions by `step.tx`, in all', tx.txMs, ms),
    row('the same by `batch`', tx.batchMs, ms),
    row('pieces of a job with steps', idle.durable, second),
    row('pieces of a job without', idle.plain, second),
    row(`a map of ${formatNumber(map.children)}`, map.mapMs, ms),
    row('the same pieces enqueued and drained', map.drainMs, ms),
    ['a round beside what waits', ms(sleepers.roundMs)],
    ['a claim beside what waits', ms(sleepers.claimMs)],
    ['a claim without', ms(sleepers.claimAloneMs)],
  ],
)}`
  },
  plots: ({ perSecond }) => [
    {
      name: 'perSecond',
      title: 'Steps per second of 100 runs',
      unit: 'steps/s',
      bars: SIDES.map((side) => ({
        label: side === 'dbos' ? 'DBOS' : 'Roundsman',
        value: summarise(perSecond[side]),
        isOurs: side === 'roundsman',
      })),
    },
  ],
})

async function measureSteps(bench: Bench): Promise<StepFigures> {
  const server = await bench.server()
  const runs = bench.sized({ small: 10, full: 100 })
  const children = bench.sized({ small: 100, full: 10_000 })
  const few = bench.sized({ small: 20, full: 400 })
  const figures: StepFigures = {
    ...{ runs, perSecond: { roundsman: [], dbos: [] }, lone: { stepMs: [], insertMs: [] } },
    ...{ growth: { firstMs: [], lastMs: [] }, tx: { txMs: [], batchMs: [] } },
    ...{ idle: { durable: [], plain: [] }, signalMs: [] },
    map: { children, mapMs: [], drainMs: [] },
    sleepers: { count: 0, roundMs: 0, claimMs: 0, claimAloneMs: 0 },
  }
  const measure = async <Value>(what: string, count: number): Promise<Value> => {
    bench.progress(what)
    const databaseUrl = await server.createDatabase('steps')
    const process = startProcess(join(import.meta.dirname, processOf(what)), {
      settings: { databaseUrl, what, count },
    })
    const measured = await process.told<Value>('measured')
    await process.stop()
    await server.dropDatabase('steps')
    return measured
  }
  const pieces = bench.sized({ small: 200, full: 30_000 })
  await bench.interleave(SIDES, async (side) => {
    figures.perSecond[side].push(await measure(side === 'dbos' ? side : 'runs', runs))
  })
  await bench.interleave(['durable', 'plain'] as const, async (side) => {
    figures.idle[side].push(await measure(side, pieces))
  })
  await bench.interleave(['all'], async () => {
    await add(figures.lone, measure('lone', few))
    await add(figures.growth, measure('growth', bench.sized({ small: 200, full: 1_000 })))
    await add(figures.tx, measure('tx', few))
    await add(figures.map, measure('map', children))
    const signals = await measure<number[]>('signals', bench.sized({ small: 5, full: 60 }))
    figures.signalMs.push(median(signals))
  })
  figures.sleepers = await measureSleepers(bench, server)
  return figures
}

const processOf = (what: string) => (what === 'dbos' ? 'dbosProcess.ts' : 'stepsProcess.ts')

async function add<Names extends string>(
  to: Record<Names, number[] | number>,
  measured: Promise<Record<string, number>>,
): Promise<void> {
  for (const [name, value] of Object.entries(await measured))
    (to[name as Names] as number[]).push(value)
}

/** What waits in a step, of the job that the worker knows. */
const SLEEPERS_SQL = `
  with made as (
    insert into "JobWork" ("id", "name", "bytes", "payload", "place", "dueAt", "resumptions")
    select gen_random_uuid(), 'noop0', 2, '{}', null, now() + interval '1 year', 1 from generate_series(1, $1::int)
    returning "id"
  )
  insert into "JobStep" ("workId", "name", "kind", "runId", "startedAt", "until", "signal", "key")
  select "id", 'pause', case when "nth" % 2 = 0 then 'sleep' else 'wait' end, "id", now(), now() + interval '1 year',
    case when "nth" % 2 = 1 then 'approved' end, case when "nth" % 2 = 1 then "id"::text end
  from (select "id", row_number() over () as "nth" from made) made`

async function measureSleepers(bench: Bench, server: Server): Promise<StepFigures['sleepers']> {
  const count = bench.sized({ small: 1_000, full: 1_000_000 })
  const seconds = bench.sized({ small: 3, full: 40 })
  const measure = async (sleepers: number) => {
    bench.progress(`a worker beside ${formatNumber(sleepers)} that wait`)
    const databaseUrl = await server.createDatabase('steps')
    const durations = await withClient(databaseUrl, async (client) => {
      if (sleepers > 0) await client.query(SLEEPERS_SQL, [sleepers])
      await client.query('vacuum analyze')
      return await withClient(databaseUrl, async (holder) => {
        if (sleepers > 0) {
          await holder.query('begin isolation level repeatable read')
          await holder.query('select 1')
        }
        return await withDurations(server, databaseUrl, async (read) => {
          const workers = await startWorkers({ databaseUrl, concurrency: 100 })
          for (let n = 0; n < seconds * 20; n++) {
            await client.query(
              `insert into "JobWork" ("id", "name", "bytes", "payload") values (gen_random_uuid(), 'noop0', 2, '{}')`,
            )
            await client.query(`select pg_notify('roundsman_work', 'noop0')`)
            await pause(50)
          }
          const all = await read()
          await workers.stop()
          return {
            roundMs: median(durationsOf(all, 'with beat as (')),
            claimMs: median(durationsOf(all, 'with alive as materialized')),
          }
        })
      })
    })
    await server.dropDatabase('steps')
    return durations
  }
  const alone = await measure(0)
  return { count, ...(await measure(count)), claimAloneMs: alone.claimMs }
}
