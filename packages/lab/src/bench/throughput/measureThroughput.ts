import type pg from 'pg'
import type { Bench } from '../openBench.ts'
import { withClient } from '../openServer.ts'
import { runEngine, type EngineChoice } from './runEngine.ts'
import { startRedis } from './startRedis.ts'

export type EngineName = EngineChoice['engine']

export interface ThroughputFigures {
  jobs: number
  /** For each engine, in the order of the rounds. */
  perSecond: Record<EngineName, number[]>
  firstMs: Record<EngineName, number[]>
  /** For which part of the time each one's thread had something to do, from 0 to 1. */
  busy?: Record<EngineName, number[]>
  /** What each job of a Roundsman round cost, in bytes. */
  bytes?: { log: number[]; table: number[] }
  /** What of those the table's rows and each of its indexes take up, the largest first. */
  parts?: { name: string; bytes: number }[]
  /** The settings that each engine was given after the trials. */
  settings: Partial<Record<EngineName, EngineChoice['settings']>>
  /** What was tried, once each, and how fast that was. */
  trials: { engine: EngineName; settings: string; perSecond: number }[]
  /** Null when no Redis was found. */
  redis: string | null
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
export async function measureThroughput(bench: Bench): Promise<ThroughputFigures> {
  const jobs = bench.sized({ small: 2_000, full: 50_000 })
  const server = await bench.server()
  const redis = await startRedis()
  const closeRedis = bench.onClose(async () => await redis?.close())
  const engines: EngineName[] = ['roundsman', 'sqlAlone', 'pgBoss', 'graphileWorker']
  if (redis) engines.push('bullMq')

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

  const nothing = (): Record<EngineName, number[]> => ({
    roundsman: [],
    sqlAlone: [],
    pgBoss: [],
    graphileWorker: [],
    bullMq: [],
  })
  const busy = nothing()
  const figures: ThroughputFigures = {
    jobs,
    perSecond: nothing(),
    firstMs: nothing(),
    busy,
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
      figures.bytes ??= { log: [], table: [] }
      figures.bytes.log.push(bytes.log / jobs)
      figures.bytes.table.push(bytes.table / jobs)
      figures.parts = bytes.parts.map((part) => ({ ...part, bytes: part.bytes / jobs }))
    }
    busy[choice.engine].push(busyMs / totalMs)
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
