import type pg from 'pg'
import { formatNumber, ms, range, table } from '../../markdown.ts'
import { bySide, compare, summarise } from '../../statistics.ts'
import type { Bench } from '../openBench.ts'
import { withClient } from '../openServer.ts'
import { defineScenario, type Target } from '../scenario.ts'
import { runEngine, type EngineChoice } from './runEngine.ts'
import { startRedis } from './startRedis.ts'

type EngineName = EngineChoice['engine']

interface ThroughputFigures {
  jobs: number
  /** For each engine, in the order of the rounds. */
  perSecond: Record<EngineName, number[]>
  firstMs: Record<EngineName, number[]>
  /** For which part of the time each one's thread had something to do, from 0 to 1. */
  busy: Record<EngineName, number[]>
  /** What each job of a Roundsman round cost, in bytes. */
  bytes: { log: number[]; table: number[] }
  /** What of those the table's rows and each of its indexes take up, the largest first. */
  parts: { name: string; bytes: number }[]
  /** The settings that each engine was given after the trials. */
  settings: Partial<Record<EngineName, EngineChoice['settings']>>
  /** What was tried, once each, and how fast that was. */
  trials: { engine: EngineName; settings: string; perSecond: number }[]
  /** Null when no Redis was found. */
  redis: string | null
}

/** In the order of the report. */
const LABELS: Record<EngineName, string> = {
  roundsman: 'Roundsman, every run recorded',
  sqlAlone: 'its statements by bare pg, no handlers',
  pgBoss: 'pg-boss `work()`, nothing recorded',
  bullMq: 'BullMQ on Redis, nothing recorded',
  graphileWorker: 'graphile-worker, one INSERT a job',
}

const ENGINES = Object.keys(LABELS) as EngineName[]

const INSTALL_REDIS =
  'no redis-server or valkey-server in PATH; on Debian: `apt-get install redis-server`'

export const throughput = defineScenario<ThroughputFigures>({
  name: 'throughput',
  title: 'Throughput',
  rounds: 5,
  measure: measureThroughput,
  targets: (figures) => [
    against(figures, 'pgBoss', 'pg-boss `work()` without audit', 1.25),
    against(figures, 'bullMq', 'BullMQ without audit', 2),
    against(figures, 'graphileWorker', 'graphile-worker with one INSERT a job', 2.5),
    against(figures, 'sqlAlone', 'SQL alone: the same statements without handlers', 0.8),
    ...compareBytes(figures),
  ],
  render(figures) {
    const rows = measured(figures).map((engine) => {
      const perSecond = summarise(figures.perSecond[engine])
      return [
        LABELS[engine],
        formatNumber(perSecond.median),
        range(perSecond),
        ms(summarise(figures.firstMs[engine]).median),
        tellBusy(figures, engine),
        `\`${JSON.stringify(figures.settings[engine])}\``,
      ]
    })
    const trials = figures.trials.map(({ engine, settings, perSecond }) => [
      engine,
      `\`${settings}\``,
      formatNumber(perSecond),
    ])
    return `${formatNumber(figures.jobs)} no-op jobs wait in the queue, put there by each engine's own way for many at once. The clock runs
from the start of the engine in a fresh process until the last job is settled in its store: Roundsman commits that
a job starts before its handler, and a JobRun once it has ended. A fresh database for every round, vacuumed,
analysed and written out before the start, for all alike. The settings of each are the fastest of those tried. SQL alone
is what PostgreSQL itself allows: the statements that the worker sends, recorded from one and sent by bare connections.
${figures.redis === null ? `\nBullMQ was not run: ${INSTALL_REDIS}.\n` : `\nRedis ${figures.redis} with its default persistence.\n`}
${table(['', 'jobs/s', 'all rounds', 'first handler after', 'its thread is busy', 'settings'], rows)}

${forATeam(figures)}

${table(['tried', 'settings', 'jobs/s'], trials)}`
  },
  plots: (figures) => [
    {
      name: 'jobs',
      title: 'No-op jobs per second',
      unit: 'jobs/s',
      bars: measured(figures).map((engine) => ({
        label: LABELS[engine].replaceAll('`', ''),
        value: summarise(figures.perSecond[engine]),
        isOurs: engine === 'roundsman',
      })),
    },
    {
      name: 'bytes',
      title: 'Bytes that a run costs',
      unit: 'bytes',
      bars: BYTES.flatMap(({ kind, label }) => [
        { label: `${label}, written once`, value: summarise(figures.bytes[kind]), isOurs: true },
        { label: `${label}, written twice`, value: WRITTEN_TWICE[kind] },
      ]),
    },
  ],
})

function measured({ perSecond }: ThroughputFigures): EngineName[] {
  return ENGINES.filter((engine) => perSecond[engine].length > 0)
}

/** What an engine's thread is busy for. */
function tellBusy({ busy, perSecond }: ThroughputFigures, engine: EngineName): string {
  const percent = summarise(busy[engine]).median * 100
  const seconds = compare(busy[engine], perSecond[engine]).median
  return `${formatNumber(percent)} %, ${formatNumber(seconds * 1_000_000)} µs a job`
}

const RUNS_A_DAY = 1_000_000
const DAYS_KEPT = 30

function forATeam({ perSecond, bytes }: ThroughputFigures): string {
  const share = formatNumber((100 / summarise(perSecond.roundsman).median) * 100)
  const reached = compare(perSecond.roundsman, perSecond.sqlAlone).median
  const gb = (each: readonly number[], days: number) =>
    formatNumber((summarise(each).median * RUNS_A_DAY * days) / 1e9)
  return `For a team with 100 jobs a second: what the engine does for them is ${share} % of what one worker process can do, so it is
their handlers that decide how many workers are needed. Where it is not: one process reaches ${formatNumber(reached)} of what this PostgreSQL
allows, so more of them, on further processors, bring ${formatNumber(1 / reached)} times as much at most. With ${formatNumber(RUNS_A_DAY)} runs a day PostgreSQL writes ${gb(bytes.log, 1)} GB of log for
them, to the disk and to each standby, and keeps ${gb(bytes.table, DAYS_KEPT)} GB of runs of ${DAYS_KEPT} days.`
}

/** What a run cost when each was written at its start and again at its end (ADR 20): the figures to beat. */
const WRITTEN_TWICE = { log: 1_675, table: 522 }
const BYTES = [
  { kind: 'log', label: "PostgreSQL's log", what: "bytes of PostgreSQL's log a run" },
  { kind: 'table', label: 'JobRun and its indexes', what: 'bytes of JobRun and its indexes a run' },
] as const

function compareBytes({ bytes, parts }: ThroughputFigures): Target[] {
  return BYTES.map(({ kind, what }) => ({
    what: `${what}, to ${formatNumber(WRITTEN_TWICE[kind])}`,
    atMost: 0.6,
    unit: '×',
    measured: summarise(bytes[kind].map((each) => each / WRITTEN_TWICE[kind])),
    obstacle: kind === 'table' ? tellParts(parts) : undefined,
  }))
}

/** Below it, a part takes up no more than its first page does. */
const LEAST_BYTES = 1

function tellParts(parts: ThroughputFigures['parts']): string {
  const told = parts
    .filter(({ bytes }) => bytes >= LEAST_BYTES)
    .map(({ name, bytes }) =>
      name === 'JobRun'
        ? `the row is ${formatNumber(bytes)} bytes`
        : `\`${name}\` ${formatNumber(bytes)}`,
    )
  return `what each part takes up: ${told.join(', ')}`
}

function against(
  figures: ThroughputFigures,
  engine: EngineName,
  what: string,
  atLeast: number,
): Target {
  const { perSecond } = figures
  const target = { what: `jobs/s to ${what}`, atLeast, unit: '×' }
  if (perSecond[engine].length === 0) return { ...target, measured: null, note: INSTALL_REDIS }
  return {
    ...target,
    measured: compare(perSecond.roundsman, perSecond[engine]),
    obstacle: `the worker's one thread is busy for ${tellBusy(figures, 'roundsman')}, with a handler, a signal, a time-out and an end for each; there it is ${tellBusy(figures, engine)}`,
  }
}

/** Settings to try before an engine is measured, so that it is measured at its best. */
const CANDIDATES: Record<EngineName, readonly [EngineChoice, ...EngineChoice[]]> = {
  roundsman: [roundsman(4_000), roundsman(6_000), roundsman(8_000)],
  sqlAlone: [sqlAlone(2), sqlAlone(3), sqlAlone(4)],
  pgBoss: [
    pgBoss(500, 3),
    pgBoss(1_000, 2),
    pgBoss(1_000, 3),
    pgBoss(2_000, 2),
    pgBoss(2_000, 3),
    pgBoss(5_000, 2),
    {
      engine: 'pgBoss',
      settings: { batchSize: 2_000, localConcurrency: 2, perJobResults: true, notify: false },
    },
  ],
  graphileWorker: [graphileWorker(10), graphileWorker(25), graphileWorker(50)],
  bullMq: [bullMq(50), bullMq(200), bullMq(500), bullMq(200, false)],
}

/** Measures no-op jobs, from the start of a process that finds them in its queue to the last that is settled. */
async function measureThroughput(bench: Bench): Promise<ThroughputFigures> {
  const jobs = bench.sized({ small: 2_000, full: 50_000 })
  const server = await bench.server()
  const redis = await startRedis()
  const closeRedis = bench.onClose(async () => await redis?.close())
  const engines = (Object.keys(CANDIDATES) as EngineName[]).filter(
    (engine) => engine !== 'bullMq' || redis !== null,
  )

  const run = async (choice: EngineChoice) => {
    if (choice.engine === 'bullMq') {
      const url = redis?.url ?? ''
      return { ...(await runEngine(choice, url, jobs, async () => undefined)), bytes: null }
    }
    const url = await server.createDatabase('throughput')
    let startAt = ''
    const ran = await runEngine(choice, url, jobs, async () => {
      await withClient(url, async (client) => {
        // By the time that a worker gets to the end of a minute's work, autovacuum has vacuumed and analysed the queue.
        await client.query('vacuum analyze')
        await client.query('checkpoint')
        const { rows } = await client.query<{ at: string }>(
          'select pg_current_wal_lsn()::text as at',
        )
        startAt = rows[0]?.at ?? ''
      })
    })
    return { ...ran, bytes: await withClient(url, (client) => measureBytes(client, startAt)) }
  }

  const figures: ThroughputFigures = {
    jobs,
    perSecond: bySide(ENGINES, () => []),
    firstMs: bySide(ENGINES, () => []),
    busy: bySide(ENGINES, () => []),
    bytes: { log: [], table: [] },
    parts: [],
    settings: {},
    trials: [],
    redis: redis?.version ?? null,
  }
  const chosen: EngineChoice[] = []
  for (const engine of engines) {
    bench.progress(`trying settings of ${engine}`)
    chosen.push(await choose(bench, CANDIDATES[engine], run, figures, jobs))
  }
  await bench.interleave(chosen, async (choice, round) => {
    bench.progress(`round ${round + 1}, ${choice.engine}`)
    const { totalMs, firstMs, busyMs, bytes } = await run(choice)
    if (choice.engine === 'roundsman' && bytes) {
      figures.bytes.log.push(bytes.log / jobs)
      figures.bytes.table.push(bytes.table / jobs)
      figures.parts = bytes.parts.map((part) => ({ ...part, bytes: part.bytes / jobs }))
    }
    figures.busy[choice.engine].push(busyMs / totalMs)
    figures.perSecond[choice.engine].push((jobs / totalMs) * 1_000)
    figures.firstMs[choice.engine].push(firstMs)
  })
  await server.dropDatabase('throughput')
  await closeRedis()
  return figures
}

/** Bytes written to PostgreSQL's log since `startAt`, and the size of the runs with their indexes. */
async function measureBytes(client: pg.Client, startAt: string) {
  const { rows } = await client.query<{ log: number; table: number }>(
    `select (pg_current_wal_lsn() - $1::pg_lsn)::float8 as log, pg_total_relation_size('"JobRun"')::float8 as table`,
    [startAt],
  )
  const { rows: parts } = await client.query<{ name: string; bytes: number }>(
    `select relname as name, pg_relation_size(oid)::float8 as bytes from pg_class
     where oid = '"JobRun"'::regclass or oid in (select indexrelid from pg_index where indrelid = '"JobRun"'::regclass)
     order by 2 desc`,
  )
  return { ...(rows[0] ?? { log: NaN, table: NaN }), parts }
}

/** Tries each candidate once and returns the fastest. A single one is not tried. */
async function choose(
  bench: Bench,
  [first, ...others]: readonly [EngineChoice, ...EngineChoice[]],
  run: (choice: EngineChoice) => Promise<{ totalMs: number }>,
  figures: ThroughputFigures,
  jobs: number,
): Promise<EngineChoice> {
  let best = { choice: first, perSecond: 0 }
  const candidates = bench.sized({ small: [], full: others })
  if (candidates.length > 0) {
    for (const choice of [first, ...candidates]) {
      const { totalMs } = await run(choice)
      const perSecond = (jobs / totalMs) * 1_000
      const settings = JSON.stringify(choice.settings)
      figures.trials.push({ engine: choice.engine, settings, perSecond })
      if (perSecond > best.perSecond) best = { choice, perSecond }
    }
  }
  figures.settings[best.choice.engine] = best.choice.settings
  return best.choice
}

function roundsman(concurrency: number): EngineChoice {
  return { engine: 'roundsman', settings: { concurrency } }
}

function sqlAlone(connections: number): EngineChoice {
  return { engine: 'sqlAlone', settings: { connections, batch: 2_000 } }
}

function pgBoss(batchSize: number, localConcurrency: number): EngineChoice {
  return {
    engine: 'pgBoss',
    settings: { batchSize, localConcurrency, perJobResults: false, notify: false },
  }
}

function graphileWorker(concurrentJobs: number): EngineChoice {
  return { engine: 'graphileWorker', settings: { concurrentJobs, localQueue: 500, audit: true } }
}

function bullMq(concurrency: number, removeOnComplete = true): EngineChoice {
  return { engine: 'bullMq', settings: { concurrency, removeOnComplete } }
}
