import { setTimeout as pause } from 'node:timers/promises'
import { startApi } from '../../apps.ts'
import { bulkInsert } from '../bulkInsert.ts'
import { createHttpClient, type HttpClient } from '../createHttpClient.ts'
import type { Bench } from '../openBench.ts'
import { withClient, type Server } from '../openServer.ts'
import { latencyOf, type Latency } from '../../statistics.ts'
import { fillStatement, HAND_WRITTEN, TABLES, type CleanupData } from './cleanupData.ts'
import { runCleanup } from './runCleanup.ts'

export interface CleanupFigures {
  cases: CleanupCase[]
  validation: { rows: number; idle: Latency[]; meanwhile: Latency[] }
  memory: { rows: number; cleaned: number; peakMb: number }[]
}

export interface CleanupCase extends CleanupData {
  /** Rows cleaned per second, in each round. */
  sweep: number[]
  statement: number[]
  /** For each round: how many batches, the 99th percentile, the longest and all together, in milliseconds. */
  batches: { count: number; p99: number; longest: number; lockedMs: number }[]
}

const SIDES = ['sweep', 'statement'] as const

/** The pause between two requests of somebody who looks at previews. */
const REQUEST_PAUSE_MS = 4

export async function measureCleanup(bench: Bench): Promise<CleanupFigures> {
  const entries = bench.sized({ small: 20_000, full: 2_000_000 })
  // To mark a session takes ten times as long as to remove an entry. The table and the indexes of this many do not fit into
  // PostgreSQL's memory either.
  const sessions = bench.sized({ small: 20_000, full: 1_000_000 })
  const server = await bench.server()
  const cases: CleanupCase[] = (
    [
      ['cleanupI18nCache', 0.5, 'together'],
      ['cleanupI18nCache', 0.5, 'scattered'],
      ['cleanupI18nCache', 0.01, 'together'],
      ['cleanupI18nCache', 0.01, 'scattered'],
      ['cleanupPreviewSessions', 0.5, 'scattered'],
    ] as const
  ).map(([job, dueShare, layout]) => ({
    job,
    dueShare,
    layout,
    rows: job === 'cleanupI18nCache' ? entries : sessions,
    sweep: [],
    statement: [],
    batches: [],
  }))
  for (const each of cases) await compare(bench, server, each)
  return {
    cases,
    // Uses what the last case left behind: sessions of which half are due.
    validation: await measureValidation(bench, server, sessions),
    memory: await measureMemory(bench, server),
  }
}

async function compare(bench: Bench, server: Server, each: CleanupCase): Promise<void> {
  const { job, rows, dueShare, layout } = each
  bench.progress(`filling ${TABLES[job]}: ${rows} rows, ${dueShare * 100} % due, ${layout}`)
  await fill(server, 'cleanup_full', each, bench.seed)
  await bench.interleave(SIDES, async (side, round) => {
    bench.progress(`round ${round + 1}, ${job}, ${dueShare * 100} % ${layout}, ${side}`)
    const url = await copyFilled(server, TABLES[job])
    if (side === 'statement') {
      const { count, ms } = await withClient(url, async (client) => {
        const startedAtMs = performance.now()
        const { rowCount } = await client.query(HAND_WRITTEN[job])
        return { count: rowCount ?? 0, ms: performance.now() - startedAtMs }
      })
      each.statement.push((count / ms) * 1_000)
    } else {
      const { cleaned, durationMs, batchesMs } = await runCleanup(job, url)
      each.sweep.push((cleaned / durationMs) * 1_000)
      const { p99 } = latencyOf(batchesMs)
      const lockedMs = batchesMs.reduce((total, ms) => total + ms, 0)
      each.batches.push({ count: batchesMs.length, p99, longest: Math.max(...batchesMs), lockedMs })
    }
  })
  await server.dropDatabase('cleanup')
}

async function fill(
  server: Server,
  name: string,
  data: CleanupData,
  seed: number,
  { without }: { without?: string } = {},
): Promise<string> {
  const url = await server.createDatabase(name)
  await withClient(url, async (client) => {
    if (without !== undefined) await client.query(`drop index "${without}"`)
    await bulkInsert(client, TABLES[data.job], fillStatement(data, seed))
  })
  return url
}

/** Copies the filled database, and reads the table into memory as far as it fits. */
async function copyFilled(server: Server, table: string): Promise<string> {
  const url = await server.createDatabase('cleanup', 'cleanup_full')
  await withClient(url, (client) => client.query(`select max("id"::text) from "${table}"`))
  return url
}

/** How a clean-up slows down somebody who opens a preview. */
async function measureValidation(
  bench: Bench,
  server: Server,
  rows: number,
): Promise<CleanupFigures['validation']> {
  const idle: Latency[] = []
  const meanwhile: Latency[] = []
  const validateMeanwhile = async (round: number) => {
    bench.progress(`round ${round + 1}, validating previews`)
    const url = await copyFilled(server, 'PreviewSession')
    const tokens = await withClient(url, async (client) => {
      const { rows: sessions } = await client.query<{ label: string }>(
        `select "label" from "PreviewSession" tablesample system (5) repeatable (${bench.seed})
         where "expiresAt" > now() and not "revoked" limit 1000`,
      )
      return sessions.map(({ label }) => label)
    })
    const api = await startApi(url)
    const client = createHttpClient(api.url, null)
    try {
      await validate(client, tokens, (count) => count < 100)
      idle.push(latencyOf(await validate(client, tokens, (count) => count < 600)))
      let state: 'waiting' | 'started' | 'finished' = 'waiting'
      const run = runCleanup('cleanupPreviewSessions', url, (moment) => (state = moment))
      // `await run` below reports a failure.
      run.catch(() => (state = 'finished'))
      while ((state as string) === 'waiting') await pause(1)
      meanwhile.push(latencyOf(await validate(client, tokens, () => state === 'started')))
      await run
    } finally {
      client.close()
      await api.stop()
    }
  }
  await bench.interleave(['validation'], (_, round) => validateMeanwhile(round))
  await server.dropDatabase('cleanup')
  await server.dropDatabase('cleanup_full')
  return { rows, idle, meanwhile }
}

async function validate(
  client: HttpClient,
  tokens: readonly string[],
  isMore: (count: number) => boolean,
): Promise<number[]> {
  const durationsMs: number[] = []
  while (isMore(durationsMs.length)) {
    const token = tokens[durationsMs.length % tokens.length] ?? ''
    durationsMs.push(await client.get(`/api/public/preview/${token}`))
    await pause(REQUEST_PAUSE_MS)
  }
  return durationsMs
}

/** Whether the process needs more memory when there is more to clean. */
async function measureMemory(bench: Bench, server: Server): Promise<CleanupFigures['memory']> {
  const sizes = bench.sized({ small: [1_000, 10_000], full: [100_000, 10_000_000] })
  const memory: CleanupFigures['memory'] = []
  for (const rows of sizes) {
    bench.progress(`memory at ${rows} rows`)
    const data = { job: 'cleanupI18nCache', rows, dueShare: 0.5, layout: 'scattered' } as const
    const url = await fill(server, 'cleanup', data, bench.seed, {
      // Takes long to build, and the process's memory does not depend on it.
      without: 'I18nCacheEntry_locale_key_key',
    })
    const { peakMb, cleaned } = await runCleanup(data.job, url)
    memory.push({ rows, cleaned, peakMb })
    await server.dropDatabase('cleanup')
  }
  return memory
}
