import { setTimeout as pause } from 'node:timers/promises'
import type { Client } from 'pg'
import { formatNumber, ms, table } from '../markdown.ts'
import { bySide, compare, median, summarise } from '../statistics.ts'
import type { Bench } from './openBench.ts'
import { withClient, type Server } from './openServer.ts'
import { defineScenario } from './scenario.ts'
import { durationsOf, withDurations } from './statementDurations.ts'
import { startWorkers, timeWorkers } from './startWorkers.ts'

/** What a database holds before a worker starts. */
const SIDES = ['few', 'many', 'history'] as const
type Side = (typeof SIDES)[number]
type Rounds = Record<Side, number[]>

interface GrowthFigures {
  waiting: Record<Side, number>
  runs: Record<Side, number>
  /** How long PostgreSQL took for a claim: the median, in each round. */
  claimOneMs: Rounds
  claimManyMs: Rounds
  /** Runs per second from the start of a worker, in each round. */
  perSecond: Rounds
  enqueuedPerSecond: Rounds
  rounds: { workers: number; jobs: number; claims: number; holders: number; ms: number[] }[]
}

const CLAIM = 'with alive as materialized'
const ROUND = 'with beat as ('
const MANY = 2_000
const JOB = 'noop0'

export const growth = defineScenario<GrowthFigures>({
  name: 'growth',
  title: 'Much waiting, much history, many workers',
  rounds: 5,
  measure: measureGrowth,
  targets({ waiting, runs, claimOneMs, claimManyMs, perSecond, enqueuedPerSecond, rounds }) {
    const much = `with ${formatNumber(waiting.many)} waiting, to ${formatNumber(waiting.few)}`
    const long = `after ${formatNumber(runs.history)} runs, to a fresh database`
    /** Compared with the small side. */
    const against = (what: string, values: Rounds, side: Side) => ({
      what,
      unit: '×',
      measured: compare(values[side], values.few),
    })
    return [
      { ...against(`claim of 1 ${much}`, claimOneMs, 'many'), atMost: 1.3 },
      { ...against(`claim of 2,000 ${much}`, claimManyMs, 'many'), atMost: 1.3 },
      { ...against(`jobs/s ${long}`, perSecond, 'history'), atLeast: 0.9 },
      {
        ...against(`rows/s put into the queue ${long}`, enqueuedPerSecond, 'history'),
        atLeast: 0.9,
      },
      { ...against(`rows/s put into the queue ${much}`, enqueuedPerSecond, 'many'), atLeast: 0.9 },
      ...rounds.map((round) => ({
        what:
          round.claims === 0
            ? `a round of one of ${round.workers} idle workers of ${round.jobs} jobs`
            : `a round beside ${formatNumber(round.claims)} claims of ${round.holders} workers`,
        atMost: round.claims === 0 ? 5 : 10,
        unit: 'ms',
        measured: summarise(round.ms),
      })),
    ]
  },
  render(figures) {
    const { waiting, runs, claimOneMs, claimManyMs, perSecond, enqueuedPerSecond } = figures
    const of = (values: Rounds, side: Side) => summarise(values[side]).median
    return `What a database holds that is used for long or by many. A claim is what the server's log says PostgreSQL took for the
statement, planning included, by a worker that runs one at a time or 4,000; jobs/s is that worker's way through
work that does nothing, from its start. A round is what each worker asks once a second: its sign of life, whose worker is
gone, and which jobs have work.

${table(
  ['waiting', 'runs before', 'claim of 1', 'claim of 2,000', 'jobs/s', 'rows/s enqueued'],
  SIDES.map((side) => [
    formatNumber(waiting[side]),
    formatNumber(runs[side]),
    ms(of(claimOneMs, side)),
    ms(of(claimManyMs, side)),
    formatNumber(of(perSecond, side)),
    formatNumber(of(enqueuedPerSecond, side)),
  ]),
)}

${forATeam(figures)}`
  },
  plots: ({ waiting, runs, claimManyMs, enqueuedPerSecond }) => [
    {
      name: 'claims',
      title: 'What PostgreSQL takes for a claim of 2,000',
      unit: 'ms',
      bars: (['few', 'many'] as const).map((side) => ({
        label: `${formatNumber(waiting[side])} waiting`,
        value: summarise(claimManyMs[side]),
        isOurs: true,
      })),
    },
    {
      name: 'enqueued',
      title: 'Rows put into the queue a second',
      unit: '/s',
      bars: SIDES.map((side) => ({
        label: `${formatNumber(waiting[side])} waiting, ${formatNumber(runs[side])} runs before`,
        value: summarise(enqueuedPerSecond[side]),
        isOurs: true,
      })),
    },
  ],
})

const RUNS_A_DAY = 100_000

function forATeam(figures: GrowthFigures): string {
  const { waiting, runs, claimManyMs, perSecond, enqueuedPerSecond, rounds } = figures
  const ratio = (values: Rounds, side: Side) =>
    formatNumber(compare(values[side], values.few).median)
  const speed = summarise(perSecond.many).median
  const idle = rounds.find(({ claims }) => claims === 0)
  const inUse = (idle?.workers ?? NaN) * summarise(idle?.ms ?? [NaN]).median
  return `For a team whose queue has piled up over a weekend, with ${formatNumber(waiting.many)} pieces waiting: taking some costs ${ratio(claimManyMs, 'many')} × what it costs
with ${formatNumber(waiting.few)}, and putting more behind them goes ${ratio(enqueuedPerSecond, 'many')} × as fast; a worker is through all of it in ${formatNumber(waiting.many / speed)} s, and whatever its
handlers take. With ${formatNumber(RUNS_A_DAY)} runs a day, ${formatNumber(runs.history)} are there after ${formatNumber(runs.history / RUNS_A_DAY)} days, and a worker is ${ratio(perSecond, 'history')} × as fast then. ${formatNumber(idle?.workers ?? NaN)} idle workers of
${formatNumber(idle?.jobs ?? NaN)} jobs cost PostgreSQL ${ms(inUse)} of each second.`
}

/**
 * Measures what grows in a database that is used for long, or by many: the queue, the history, the workers and their
 * claims.
 */
async function measureGrowth(bench: Bench): Promise<GrowthFigures> {
  const few = bench.sized({ small: 5_000, full: 50_000 })
  const many = bench.sized({ small: 20_000, full: 5_000_000 })
  const history = bench.sized({ small: 20_000, full: 10_000_000 })
  const singles = bench.sized({ small: 20, full: 300 })
  const taken = bench.sized({ small: 2_000, full: 40_000 })
  const server = await bench.server()
  const rounds = () => bySide(SIDES, (): number[] => [])
  const figures: GrowthFigures = {
    waiting: { few, many, history: few },
    runs: { few: 0, many: 0, history },
    claimOneMs: rounds(),
    claimManyMs: rounds(),
    perSecond: rounds(),
    enqueuedPerSecond: rounds(),
    rounds: [],
  }
  const urls = bySide(SIDES, () => '')
  for (const side of SIDES) {
    bench.progress(`filling: ${figures.waiting[side]} waiting, ${figures.runs[side]} runs`)
    urls[side] = await fill(server, `growth_${side}`, figures.waiting[side], figures.runs[side])
  }
  await bench.interleave(SIDES, async (side, round) => {
    const url = urls[side]
    bench.progress(`round ${round + 1}, ${side}, claims of one`)
    const one = await takeWork(server, url, 1, singles)
    figures.claimOneMs[side].push(one.claimMs)
    bench.progress(`round ${round + 1}, ${side}, claims of ${MANY}`)
    const all = await takeWork(server, url, 2 * MANY, taken)
    figures.claimManyMs[side].push(all.claimMs)
    figures.perSecond[side].push((taken / all.tookMs) * 1_000)
    bench.progress(`round ${round + 1}, ${side}, enqueueing`)
    await withClient(url, async (client) => {
      const { count, tookMs } = await enqueueUpTo(client, JOB, figures.waiting[side])
      figures.enqueuedPerSecond[side].push((count / tookMs) * 1_000)
      await client.query('vacuum analyze "JobWork"')
    })
  })
  for (const side of SIDES) await server.dropDatabase(`growth_${side}`)
  const idle = bench.sized({ small: { workers: 2, jobs: 5 }, full: { workers: 20, jobs: 200 } })
  const held = bench.sized({
    small: { claims: 10, holders: 2 },
    full: { claims: 1_000, holders: 100 },
  })
  for (const each of [
    { ...idle, claims: 0, holders: 0 },
    { workers: 1, jobs: 1, ...held },
  ]) {
    figures.rounds.push({ ...each, ms: await measureRounds(bench, server, each) })
  }
  return figures
}

async function fill(server: Server, name: string, waiting: number, runs: number): Promise<string> {
  const databaseUrl = await server.createDatabase(name)
  await (await startWorkers({ databaseUrl })).stop()
  await withClient(databaseUrl, async (client) => {
    if (runs > 0) {
      await bulkInsert(
        client,
        'JobRun',
        `insert into "JobRun" ("id", "name", "status", "trigger", "startedAt", "endedAt", "workId", "workerId", "createdAt")
         select id, '${JOB}', 'success', 'queue', at, at + interval '1 s', id, 'before', at
         from (select uuidv7() as id, now() - n * interval '100 ms' as at from generate_series(1, ${runs}) n) run`,
      )
    }
    await enqueueUpTo(client, JOB, waiting)
    await client.query('vacuum analyze "JobWork"')
    await client.query('checkpoint')
  })
  return databaseUrl
}

/**
 * Fills a table and builds its indexes once it is full, which takes a fraction of the time. Then vacuums and analyses it,
 * as autovacuum would. Commits of the client have to wait for the disk: else the vacuum does not know yet that the rows are
 * committed, and leaves a part of the pages for index-only scans to look into.
 */
async function bulkInsert(client: Client, name: string, insert: string): Promise<void> {
  const { rows } = await client.query<{ name: string; definition: string }>(
    `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
     from pg_index where indrelid = format('%I', $1::text)::regclass and not indisprimary`,
    [name],
  )
  await client.query(`set maintenance_work_mem = '512MB'`)
  for (const row of rows) await client.query(`drop index ${row.name}`)
  await client.query(insert)
  for (const { definition } of rows) await client.query(definition)
  await client.query(`vacuum analyze "${name}"`)
}

/** Enqueues what is missing, with the columns that a client writes, 20,000 pieces with each statement. */
async function enqueueUpTo(
  client: Client,
  name: string,
  waiting: number,
): Promise<{ count: number; tookMs: number }> {
  const { rows } = await client.query<{ count: number }>(
    `select count(*)::int as count from "JobWork" where "name" = $1`,
    [name],
  )
  const missing = waiting - (rows[0]?.count ?? 0)
  const startedAtMs = performance.now()
  for (let left = missing; left > 0; left -= 20_000) {
    await client.query(
      `insert into "JobWork" ("id", "name", "bytes", "payload")
       select uuidv7(), $1, 2, '{}' from generate_series(1, ${Math.min(left, 20_000)})`,
      [name],
    )
  }
  return { count: missing, tookMs: performance.now() - startedAtMs }
}

/** Has a worker take work, `concurrency` pieces at once, until it has handled `count`. */
async function takeWork(server: Server, databaseUrl: string, concurrency: number, count: number) {
  return await withDurations(server, databaseUrl, async (read) => {
    const tookMs = await timeWorkers({ databaseUrl, concurrency, count })
    return { tookMs, claimMs: median(durationsOf(await read(), CLAIM)) }
  })
}

async function measureRounds(
  bench: Bench,
  server: Server,
  {
    workers,
    jobs,
    claims,
    holders,
  }: { workers: number; jobs: number; claims: number; holders: number },
): Promise<number[]> {
  bench.progress(
    `rounds of ${workers} workers of ${jobs} jobs, beside ${claims} claims of ${holders} others`,
  )
  const databaseUrl = await server.createDatabase('growth_rounds')
  const durations = await withClient(databaseUrl, async (client) => {
    // A worker lives whose lock is held, and one connection can hold the locks of all of them.
    await client.query(
      `select pg_advisory_lock(hashtextextended('holder ' || n, 0)) from generate_series(1, ${holders}) n`,
    )
    await client.query(
      `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
       select gen_random_uuid(), '${JOB}', 'holder ' || 1 + n % ${Math.max(1, holders)}, now(), now() + interval '1 day',
              array[gen_random_uuid()], array[now()]
       from generate_series(1, ${claims}) n`,
    )
    return await withDurations(server, databaseUrl, async (read) => {
      const started = await startWorkers({ databaseUrl, workers, jobs })
      await pause(bench.sized({ small: 2_500, full: 20_000 }))
      const roundsMs = durationsOf(await read(), ROUND)
      await started.stop()
      return roundsMs
    })
  })
  await server.dropDatabase('growth_rounds')
  return durations
}
