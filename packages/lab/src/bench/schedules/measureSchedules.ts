import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { migrate } from '@roundsman/engine/migrate'
import type { Bench } from '../openBench.ts'
import { log, withClient } from '../openServer.ts'
import { startProcess } from '../startProcess.ts'
import { quantile } from '../statistics.ts'

export interface SchedulesFigures {
  schedules: number
  workers: number
  seconds: number
  rounds: SchedulesRound[]
}

export interface SchedulesRound {
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

const PROCESS = join(import.meta.dirname, 'workerProcess.ts')
const WORKERS = 3
/** How long all workers take to start, and their code to become fast. */
const SETTLE_MS = 5_000

export async function measureSchedules(bench: Bench): Promise<SchedulesFigures> {
  const schedules = bench.sized({ small: 10, full: 100 })
  const seconds = bench.sized({ small: 3, full: 60 })
  const server = await bench.server()
  const rounds: SchedulesRound[] = []
  await bench.interleave(['schedules'], async (_, round) => {
    bench.progress(`round ${round + 1}`)
    const url = await server.createDatabase('schedules')
    await migrate({ schema: 'public', databaseUrl: url, log })
    const workers = Array.from({ length: WORKERS }, () =>
      startProcess(PROCESS, { args: [url, String(schedules)] }),
    )
    await Promise.all(workers.map((worker) => worker.line(/^ready$/)))
    await pause(SETTLE_MS)
    const from = new Date(Math.ceil(Date.now() / 1_000) * 1_000)
    const to = new Date(from.getTime() + seconds * 1_000)
    await pause(to.getTime() + 1_000 - Date.now())
    await Promise.all(workers.map((worker) => worker.stop()))
    rounds.push(await readRound(url, schedules, from, to))
  })
  await server.dropDatabase('schedules')
  return { schedules, workers: WORKERS, seconds, rounds }
}

/** Reads the ticks from `from` to just before `to`. */
async function readRound(
  url: string,
  schedules: number,
  from: Date,
  to: Date,
): Promise<SchedulesRound> {
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
       cross join lateral (select 'everySecond' || number as name) job
       cross join generate_series($2::timestamptz, $3::timestamptz - interval '1 second', interval '1 second') due(at)
       cross join lateral (
         select coalesce(array_agg(extract(epoch from "startedAt" - "scheduledFor")::float8 * 1000), '{}') as latenesses,
                count(*)::int as runs, (count(*) filter (where "status" = 'success'))::int as succeeded
         from "JobRun" run where run."name" = job.name and run."scheduledFor" = due.at
       ) run`,
      [schedules, from, to],
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
