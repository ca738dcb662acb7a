import { setTimeout as pause } from 'node:timers/promises'
import { join } from 'node:path'
import { bulkInsert } from '../bulkInsert.ts'
import { enqueueUpTo } from '../enqueueUpTo.ts'
import type { Bench } from '../openBench.ts'
import { withClient, type Server } from '../openServer.ts'
import { startProcess } from '../startProcess.ts'
import { durationsOf, withDurations } from '../statementDurations.ts'
import { median } from '../statistics.ts'

/** What a database holds before a worker starts. */
export const SIDES = ['few', 'many', 'history'] as const
export type GrowthSide = (typeof SIDES)[number]

export interface GrowthFigures {
  waiting: Record<GrowthSide, number>
  runs: Record<GrowthSide, number>
  /** How long PostgreSQL took for a claim: the median, in each round. */
  claimOneMs: Record<GrowthSide, number[]>
  claimManyMs: Record<GrowthSide, number[]>
  /** Runs per second from the start of a worker, in each round. */
  perSecond: Record<GrowthSide, number[]>
  enqueuedPerSecond: Record<GrowthSide, number[]>
  rounds: { workers: number; jobs: number; claims: number; holders: number; ms: number[] }[]
}

const WORKERS_PROCESS = join(import.meta.dirname, 'workersProcess.ts')
const CLAIM = 'with alive as materialized'
const ROUND = 'with beat as ('
const MANY = 2_000

/**
 * Measures what grows in a database that is used for long, or by many: the queue, the history, the workers and their
 * claims.
 */
export async function measureGrowth(bench: Bench): Promise<GrowthFigures> {
  const few = bench.sized({ small: 5_000, full: 50_000 })
  const many = bench.sized({ small: 20_000, full: 5_000_000 })
  const history = bench.sized({ small: 20_000, full: 10_000_000 })
  const singles = bench.sized({ small: 20, full: 300 })
  const taken = bench.sized({ small: 2_000, full: 40_000 })
  const server = await bench.server()
  const empty = () => ({ few: [], many: [], history: [] }) as Record<GrowthSide, number[]>
  const figures: GrowthFigures = {
    waiting: { few, many, history: few },
    runs: { few: 0, many: 0, history },
    claimOneMs: empty(),
    claimManyMs: empty(),
    perSecond: empty(),
    enqueuedPerSecond: empty(),
    rounds: [],
  }
  const urls = {} as Record<GrowthSide, string>
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
      const { count, ms } = await enqueueUpTo(client, 'noop', figures.waiting[side])
      figures.enqueuedPerSecond[side].push((count / ms) * 1_000)
      await client.query('vacuum analyze "JobWork"')
    })
  })
  for (const side of SIDES) await server.dropDatabase(`growth_${side}`)
  const idle = {
    workers: bench.sized({ small: 2, full: 20 }),
    jobs: bench.sized({ small: 5, full: 200 }),
  }
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
  const url = await server.createDatabase(name)
  const prepare = startProcess(WORKERS_PROCESS, { args: [url] })
  await prepare.line(/^ready$/)
  await prepare.stop()
  await withClient(url, async (client) => {
    if (runs > 0) {
      await bulkInsert(
        client,
        'JobRun',
        `insert into "JobRun" ("id", "name", "status", "trigger", "startedAt", "endedAt", "workId", "workerId", "createdAt")
         select id, 'noop', 'success', 'queue', at, at + interval '1 s', id, 'before', at
         from (select uuidv7() as id, now() - n * interval '100 ms' as at from generate_series(1, ${runs}) n) run`,
      )
    }
    await enqueueUpTo(client, 'noop', waiting)
    await client.query('vacuum analyze "JobWork"')
    await client.query('checkpoint')
  })
  return url
}

/** Has a worker take work, `concurrency` pieces at once, until it has handled `count`. */
async function takeWork(server: Server, url: string, concurrency: number, count: number) {
  return await withDurations(server, url, async (read) => {
    const child = startProcess(WORKERS_PROCESS, {
      args: [url, '1', '1', String(concurrency), String(count)],
    })
    const [, tookMs = ''] = await child.line(/^handled (.+)$/)
    await child.stop()
    return { tookMs: Number(tookMs), claimMs: median(durationsOf(await read(), CLAIM)) }
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
  const url = await server.createDatabase('growth_rounds')
  const durations = await withClient(url, async (client) => {
    // A worker lives whose lock is held, and one connection can hold the locks of all of them.
    await client.query(
      `select pg_advisory_lock(hashtextextended('holder ' || n, 0)) from generate_series(1, ${holders}) n`,
    )
    await client.query(
      `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
       select gen_random_uuid(), 'noop', 'holder ' || 1 + n % ${Math.max(1, holders)}, now(), now() + interval '1 day',
              array[gen_random_uuid()], array[now()]
       from generate_series(1, ${claims}) n`,
    )
    return await withDurations(server, url, async (read) => {
      const child = startProcess(WORKERS_PROCESS, { args: [url, String(workers), String(jobs)] })
      await child.line(/^ready$/)
      await pause(bench.sized({ small: 2_500, full: 20_000 }))
      const ms = durationsOf(await read(), ROUND)
      await child.stop()
      return ms
    })
  })
  await server.dropDatabase('growth_rounds')
  return durations
}
