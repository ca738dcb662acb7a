import type pg from 'pg'
import type { Bench } from '../openBench.ts'
import { withClient } from '../openServer.ts'
import { readProcess } from '../readProcess.ts'
import { median } from '../statistics.ts'
import { createSqlAlone } from '../throughput/engines/createSqlAlone.ts'
import { playHistories } from './playHistory.ts'
import { openSketch, type Sketch } from './openSketch.ts'

export const QUEUE_SIDES = ['today', 'sketch'] as const
export type QueueSide = (typeof QUEUE_SIDES)[number]

/** What each piece has cost, from a full queue to its end on record, of one round. */
export interface PieceCost {
  perSecond: number
  /** Processor time of PostgreSQL's connections. */
  backendUs: number
  logBytes: number
}

/** How long the sketch's statements took at the beginning and at the end of a long history; medians of a tenth each. */
export interface Wear {
  first: Record<Statement, number>
  last: Record<Statement, number>
}

export const STATEMENTS = ['claimMany', 'claimOne', 'end', 'round'] as const
export type Statement = (typeof STATEMENTS)[number]

export interface QueueFigures {
  pieces: number
  worn: number
  delayed: number
  /** Drawn histories in which the rule of floor.ts was tried, and those in which it went wrong. */
  histories: { played: number; wrong: number; taken: number }
  costs: Record<QueueSide, PieceCost[]>
  /** Under a snapshot that is held from before the first piece, and with so many pieces delayed. */
  wear: { snapshot: Wear; delayed: Wear }
}

const CONNECTIONS = 2
const BATCH = 2_000

/** Measures the sketch of the engine's own queue by its statements alone, beside those of today's worker. */
export async function measureQueue(bench: Bench): Promise<QueueFigures> {
  const pieces = bench.sized({ small: 4_000, full: 50_000 })
  const worn = bench.sized({ small: 40_000, full: 600_000 })
  const delayed = bench.sized({ small: 20_000, full: 1_000_000 })
  const played = bench.sized({ small: 500, full: 100_000 })
  bench.progress(`${played} histories`)
  const histories = { played, ...playHistories(bench.seed, played) }
  const costs: QueueFigures['costs'] = { today: [], sketch: [] }
  await bench.interleave(QUEUE_SIDES, async (side) => {
    bench.progress(`${pieces} pieces, ${side}`)
    costs[side].push(
      await (side === 'today' ? costToday(bench, pieces) : costSketch(bench, pieces)),
    )
  })
  return {
    pieces,
    worn,
    delayed,
    histories,
    costs,
    wear: {
      snapshot: await wear(bench, worn, { holdsSnapshot: true, delayed: 0 }),
      delayed: await wear(bench, worn / 4, { holdsSnapshot: false, delayed }),
    },
  }
}

async function costToday(bench: Bench, pieces: number): Promise<PieceCost> {
  const server = await bench.server()
  const url = await server.createDatabase('queue')
  const engine = await createSqlAlone(url, { connections: CONNECTIONS, batch: BATCH })
  try {
    await engine.enqueue(pieces)
    return await withClient(url, async (client) => {
      await client.query('vacuum analyze')
      await client.query('checkpoint')
      return await readBackends(client, pieces, () => engine.start(() => undefined))
    })
  } finally {
    await engine.close()
  }
}

async function costSketch(bench: Bench, pieces: number): Promise<PieceCost> {
  const server = await bench.server()
  const url = await server.createDatabase('queue')
  const sketch = await openSketch(url, CONNECTIONS)
  try {
    await sketch.enqueue(pieces)
    return await withClient(url, async (client) => {
      await client.query('vacuum analyze')
      await client.query('checkpoint')
      return await readBackends(client, pieces, async () => {
        await Promise.all(Array.from({ length: CONNECTIONS }, () => takeAll(sketch)))
      })
    })
  } finally {
    await sketch.close()
  }
}

async function takeAll(sketch: Sketch): Promise<void> {
  while ((await sketch.takeAndEnd(BATCH, 'hint')).count > 0);
}

/** Works through `pieces` as they come, a few thousand at a time, with a round after each lot as once a second. */
async function wear(
  bench: Bench,
  pieces: number,
  { holdsSnapshot, delayed }: { holdsSnapshot: boolean; delayed: number },
): Promise<Wear> {
  const server = await bench.server()
  const url = await server.createDatabase('queue')
  const sketch = await openSketch(url, CONNECTIONS)
  try {
    return await withClient(url, async (holder) => {
      if (delayed > 0) await sketch.enqueue(delayed, 'tomorrow')
      await sketch.query('analyze "JobWork"')
      if (holdsSnapshot) {
        await holder.query('begin isolation level repeatable read')
        await holder.query('select count(*) from "JobWork"')
      }
      const lots: Record<Statement, number>[] = []
      for (let done = 0; done < pieces; done += 2 * BATCH) {
        bench.progress(`${done} of ${pieces} pieces${holdsSnapshot ? ' under a snapshot' : ''}`)
        await sketch.enqueue(2 * BATCH)
        // One as after a wake-up, which begins at the floor.
        const one = await sketch.takeAndEnd(1, 'floor')
        const many = await sketch.takeAndEnd(BATCH, 'hint')
        await takeAll(sketch)
        lots.push({
          claimOne: one.claimMs,
          claimMany: many.claimMs,
          end: many.endMs,
          round: await sketch.round(),
        })
      }
      const tenth = Math.max(1, Math.floor(lots.length / 10))
      return { first: medians(lots.slice(0, tenth)), last: medians(lots.slice(-tenth)) }
    })
  } finally {
    await sketch.close()
  }
}

function medians(lots: readonly Record<Statement, number>[]): Record<Statement, number> {
  const of = (statement: Statement) => median(lots.map((lot) => lot[statement]))
  return {
    claimMany: of('claimMany'),
    claimOne: of('claimOne'),
    end: of('end'),
    round: of('round'),
  }
}

/** What `work`, which is done by connections that are open, costs a piece. */
async function readBackends(
  client: pg.Client,
  pieces: number,
  work: () => Promise<void>,
): Promise<PieceCost> {
  const before = await readNow(client)
  const startedAt = performance.now()
  await work()
  const tookMs = performance.now() - startedAt
  const after = await readNow(client)
  return {
    perSecond: (pieces / tookMs) * 1_000,
    backendUs: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / pieces,
    logBytes: (after.logBytes - before.logBytes) / pieces,
  }
}

async function readNow(client: pg.Client): Promise<{ cpuSeconds: number; logBytes: number }> {
  const { rows } = await client.query<{ pid: number; at: number }>(
    `select pid, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as at from pg_stat_activity
     where datname = current_database() and backend_type = 'client backend'`,
  )
  const uses = await Promise.all(rows.map(({ pid }) => readProcess(pid)))
  const cpuSeconds = uses.reduce((sum, use) => sum + (use?.cpuSeconds ?? 0), 0)
  return { cpuSeconds, logBytes: rows[0]?.at ?? NaN }
}
