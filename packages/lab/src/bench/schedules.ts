import { setTimeout as pause } from 'node:timers/promises'
import { formatNumber, ms, table } from '../markdown.ts'
import { quantile, summarise } from '../statistics.ts'
import { measureKeyed, renderKeyed, type KeyedFigures } from './keyedSchedules.ts'
import type { Bench } from './openBench.ts'
import { withClient } from './openServer.ts'
import { defineScenario } from './scenario.ts'
import { startWorkers } from './startWorkers.ts'
import { migrateEngine } from '../product.ts'

interface SchedulesFigures {
  schedules: number
  workers: number
  seconds: number
  rounds: SchedulesRound[]
  /** Results from before there were any have none. */
  keyed?: KeyedFigures[]
}

interface SchedulesRound {
  /** Ticks that were due. */
  due: number
  /** How many of them have exactly one row in the ledger. */
  recorded: number
  /** How many of them were enqueued and have exactly one run that succeeded. */
  ranOnce: number
  /** The ledger's rows by outcome. */
  outcomes: Record<string, number>
  /** Runs without a due tick, or beyond the first of a tick. */
  surplusRuns: number
  /** From the tick to the run's start, in milliseconds. */
  p50: number
  p99: number
  longest: number
}

const WORKERS = 3
/** How long all workers take to start, and their code to become fast. */
const SETTLE_MS = 5_000

export const schedules = defineScenario<SchedulesFigures>({
  name: 'schedules',
  title: 'Schedules',
  rounds: 1,
  measure: measureSchedules,
  targets({ rounds, keyed = [] }) {
    const of = (figure: (round: SchedulesRound) => number) => summarise(rounds.map(figure))
    return [
      {
        what: 'ticks that are in the ledger exactly once, and run no more than once',
        atLeast: 100,
        unit: '%',
        measured: of(({ recorded, surplusRuns, due }) => ((recorded - surplusRuns) / due) * 100),
      },
      {
        what: 'ticks that were run',
        atLeast: 100,
        unit: '%',
        measured: of(({ due, ranOnce }) => (ranOnce / due) * 100),
        obstacle:
          'a machine that is this busy: a tick is skipped while the run before it has not ended, and coalesced when the next is due',
      },
      {
        what: 'lateness of a start, p99',
        atMost: 100,
        unit: 'ms',
        measured: of(({ p99 }) => p99),
        obstacle: 'every worker looks into the queue of each job by itself',
      },
      ...keyed
        .filter((one) => one.keyed > 0)
        .flatMap((one) => {
          const by = one.workers === 1 ? '1 worker' : `${one.workers} workers`
          return [
            {
              what: `${formatNumber(one.keyed)} keyed schedules due at once, decided by ${by}`,
              atMost: 30_000,
              unit: 'ms',
              measured: one.decidedMs,
            },
            {
              what: `latest tick of the code meanwhile, ${by}`,
              atMost: 1_000,
              unit: 'ms',
              measured: one.codeLongestMs,
            },
          ]
        }),
    ]
  },
  render({ schedules: count, workers, seconds, rounds, keyed = [] }) {
    const rows = rounds.map((round) => [
      formatNumber(round.due),
      formatNumber(round.recorded),
      formatNumber(round.ranOnce),
      formatNumber(round.surplusRuns),
      Object.entries(round.outcomes)
        .map(([outcome, ticks]) => `${formatNumber(ticks)} ${outcome}`)
        .join(', '),
      ms(round.p50),
      ms(round.p99),
      ms(round.longest),
    ])
    return `${formatNumber(count)} jobs that are due every second, with the policies that a job has by default, ${workers} workers in processes of
their own on one database, ${formatNumber(seconds)} seconds. Lateness is from the instant that the schedule names to the run's start.

${table(['ticks due', 'in the ledger once', 'run once', 'surplus runs', 'outcomes', 'late p50', 'late p99', 'latest'], rows)}${renderKeyed(keyed)}`
  },
  plots: () => [],
})

async function measureSchedules(bench: Bench): Promise<SchedulesFigures> {
  const jobs = bench.sized({ small: 10, full: 100 })
  const seconds = bench.sized({ small: 3, full: 60 })
  const server = await bench.server()
  const rounds: SchedulesRound[] = []
  await bench.interleave(['schedules'], async (_, round) => {
    bench.progress(`round ${round + 1}`)
    const databaseUrl = await server.createDatabase('schedules')
    await migrateEngine(databaseUrl)
    const settings = { databaseUrl, jobs, cron: '* * * * * *' }
    const workers = await Promise.all(Array.from({ length: WORKERS }, () => startWorkers(settings)))
    await pause(SETTLE_MS)
    const from = new Date(Math.ceil(Date.now() / 1_000) * 1_000)
    const to = new Date(from.getTime() + seconds * 1_000)
    await pause(to.getTime() + 1_000 - Date.now())
    await Promise.all(workers.map((worker) => worker.stop()))
    rounds.push(await readRound(databaseUrl, jobs, from, to))
  })
  await server.dropDatabase('schedules')
  const keyed = await measureKeyed(bench, server)
  return { schedules: jobs, workers: WORKERS, seconds, rounds, keyed }
}

/** Reads the ticks from `from` to just before `to`. */
async function readRound(url: string, jobs: number, from: Date, to: Date): Promise<SchedulesRound> {
  return await withClient(url, async (client) => {
    const { rows } = await client.query<{
      outcomes: string[] | null
      latenesses: number[]
      runs: number
      succeeded: number
    }>(
      `select (select array_agg("outcome"::text) from "JobTick" tick
               where tick."name" = job.name and tick."scheduledFor" = due.at) as outcomes,
              run.latenesses, run.runs, run.succeeded
       from generate_series(0, $1::int - 1) number
       cross join lateral (select 'noop' || number as name) job
       cross join generate_series($2::timestamptz, $3::timestamptz - interval '1 second', interval '1 second') due(at)
       cross join lateral (
         select coalesce(array_agg(extract(epoch from "startedAt" - "scheduledFor")::float8 * 1000), '{}') as latenesses,
                count(*)::int as runs, (count(*) filter (where "status" = 'success'))::int as succeeded
         from "JobRun" run where run."name" = job.name and run."scheduledFor" = due.at
       ) run`,
      [jobs, from, to],
    )
    const { rows: all } = await client.query<{ runs: number }>(
      `select count(*)::int as runs from "JobRun" where "scheduledFor" >= $1 and "scheduledFor" < $2`,
      [from, to],
    )
    const outcomes: Record<string, number> = {}
    for (const outcome of rows.flatMap((row) => row.outcomes ?? [])) {
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    }
    const latenesses = rows.flatMap((row) => row.latenesses)
    const ranOnce = rows.filter(
      (row) => row.outcomes?.[0] === 'enqueued' && row.runs === 1 && row.succeeded === 1,
    ).length
    return {
      due: rows.length,
      recorded: rows.filter((row) => row.outcomes?.length === 1).length,
      ranOnce,
      outcomes,
      surplusRuns: (all[0]?.runs ?? 0) - rows.filter(({ runs }) => runs > 0).length,
      p50: quantile(latenesses, 0.5),
      p99: quantile(latenesses, 0.99),
      longest: Math.max(...latenesses),
    }
  })
}
