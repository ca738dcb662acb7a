import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { startApi } from '../../apps.ts'
import { createHttpClient, type HttpClient } from '../createHttpClient.ts'
import type { Bench } from '../openBench.ts'
import { logIn, withClient } from '../openServer.ts'
import { startProcess } from '../../startProcess.ts'
import { inTurn, latencyOf, type Latency } from '../../statistics.ts'
import { copyNewestRuns, fillRuns, runsSql, type JobShare } from '../fillRuns.ts'

export const SIZES = ['few', 'many'] as const
export type Size = (typeof SIZES)[number]

export interface RunsFigures {
  rows: Record<Size, number>
  fillMs: number
  requests: number
  /** In each round. */
  reads: { what: string; kind: 'page' | 'csv' | 'console'; latencies: Record<Size, Latency[]> }[]
  /** All pages together, each kind as often as the others, in each round. */
  pages: Record<Size, Latency[]>
  /** Requests a second for the first page. */
  perSecond: { api: number[]; bare: number[] }
}

interface Side {
  client: HttpClient
  /** A cursor half-way through all runs. */
  deep: string
}

interface Read {
  what: string
  kind: 'page' | 'csv' | 'console'
  path: string
}

/** Few jobs have most runs. */
const JOBS: readonly JobShare[] = [
  { name: 'renderInvoicePdf', share: 4_380 },
  { name: 'cleanupPreviewSessions', share: 100, isScheduled: true },
  { name: 'cleanupI18nCache', share: 15, isScheduled: true },
  { name: 'pruneJobRuns', share: 5, isScheduled: true },
  { name: 'dispatchEmail', share: 5_500 },
]
const LIST = '/api/jobs/runs'
/** Requests of each kind on both sides in each round, before those that count: they load what is needed into memory. */
const WARM_UPS = 10
/** Requests between two garbage collections of our own, which would otherwise fall into the slowest request. */
const COLLECT_EVERY = 20
const DAY_MS = 86_400_000
const BARE_SERVER = join(import.meta.dirname, 'bareServerProcess.ts')

export async function measureRuns(bench: Bench): Promise<RunsFigures> {
  const { newest, many } = bench.sized({
    small: { newest: 500, many: 20_000 },
    full: { newest: 10_000, many: 10_000_000 },
  })
  const requests = bench.sized({ small: 5, full: 500 })
  const server = await bench.server()
  const urls = {
    few: await server.createDatabase('runs_few'),
    many: await server.createDatabase('runs_many'),
  }
  bench.progress(`filling in ${many} runs`)
  const startedAtMs = performance.now()
  await withClient(urls.many, (client) => fillRuns(client, runsSql(many, bench.seed, JOBS)))
  const fillMs = performance.now() - startedAtMs
  const rows = { few: await copyNewestRuns(urls.many, urls.few, newest), many }

  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext("() => gc({ type: 'minor' })") as () => void
  const reads = listReads()
  const figures: RunsFigures = {
    rows,
    fillMs,
    requests,
    reads: reads.map(({ what, kind }) => ({ what, kind, latencies: { few: [], many: [] } })),
    pages: { few: [], many: [] },
    perSecond: { api: [], bare: [] },
  }
  /** One for each round. */
  const pagesMs: Record<Size, number[]>[] = []
  const stops: (() => Promise<unknown>)[] = []
  const open = async (size: Size): Promise<Side> => {
    const api = await startApi(urls[size])
    stops.push(api.stop)
    const client = createHttpClient(api.url, await logIn(urls[size], api.url, 'admin'))
    return { client, deep: await findDeepCursor(urls[size], rows[size]) }
  }
  try {
    const sides = { few: await open('few'), many: await open('many') }
    // Each round measures every kind, and not all rounds of one kind: a disturbance of the machine then spoils one round of
    // some kinds.
    await bench.interleave([...reads.entries()], async ([index, read], round) => {
      bench.progress(`round ${round + 1}, ${read.what}`)
      const count = read.kind === 'page' ? requests : Math.ceil(requests / 2)
      const durationsMs: Record<Size, number[]> = { few: [], many: [] }
      for (let n = -WARM_UPS; n < count; n++) {
        if (n % COLLECT_EVERY === 0) collectGarbage()
        // The sides take turns with each request, so that a disturbance hits both.
        for (const size of inTurn(SIZES, n)) {
          const durationMs = await measureRead(sides[size], read)
          if (n >= 0) durationsMs[size].push(durationMs)
        }
      }
      const together = (pagesMs[round] ??= { few: [], many: [] })
      for (const size of SIZES) {
        figures.reads[index]?.latencies[size].push(latencyOf(durationsMs[size]))
        if (read.kind === 'page') together[size].push(...durationsMs[size])
      }
    })
    for (const size of SIZES) {
      figures.pages[size] = pagesMs.map((together) => latencyOf(together[size]))
    }
    const bare = startProcess(BARE_SERVER, { settings: { databaseUrl: urls.many } })
    stops.push(bare.stop)
    const bareUrl = await bare.told<string>('url')
    const load = { connections: 8, durationMs: bench.sized({ small: 200, full: 4_000 }) }
    const loaded = {
      api: { client: sides.many.client, path: `${LIST}?limit=50` },
      bare: { client: createHttpClient(bareUrl, null), path: '/' },
    }
    for (const { client, path } of Object.values(loaded)) await client.load(path, load)
    await bench.interleave(['api', 'bare'] as const, async (side, round) => {
      bench.progress(`round ${round + 1}, requests a second, ${side}`)
      const { client, path } = loaded[side]
      figures.perSecond[side].push(await client.load(path, load))
    })
    for (const { client } of [...Object.values(sides), loaded.bare]) client.close()
  } finally {
    for (const stop of stops) await stop()
  }
  for (const size of SIZES) await server.dropDatabase(`runs_${size}`)
  return figures
}

/** Every filter, alone and in its worst combinations. A path with {cursor} goes deep into the pages. */
function listReads(): Read[] {
  const now = Date.now()
  const at = (daysAgo: number) => new Date(now - daysAgo * DAY_MS).toISOString()
  const page = (what: string, query: string): Read => ({
    what,
    kind: 'page',
    path: `${LIST}?limit=50${query}`,
  })
  return [
    page('the first page', ''),
    page('a page from the middle', '&cursor={cursor}'),
    page('name, often', '&name=dispatchEmail'),
    page('name, seldom', '&name=pruneJobRuns'),
    page('name, unknown', '&name=nobodyKnowsIt'),
    page('status success', '&status=success'),
    page('status failed', '&status=failed'),
    page('status running', '&status=running'),
    page('trigger queue', '&trigger=queue'),
    page('trigger schedule', '&trigger=schedule'),
    page('trigger manual', '&trigger=manual'),
    page('trigger cli', '&trigger=cli'),
    page('from', `&from=${at(0.02)}`),
    page('to', `&to=${at(0.04)}`),
    page('from and to', `&from=${at(0.06)}&to=${at(0.04)}`),
    page('name and status failed', '&name=renderInvoicePdf&status=failed'),
    page('name seldom and status failed', '&name=pruneJobRuns&status=failed'),
    page('name and status running', '&name=pruneJobRuns&status=running'),
    page('name and trigger manual', '&name=renderInvoicePdf&trigger=manual'),
    page('name seldom and trigger cli', '&name=pruneJobRuns&trigger=cli'),
    page('name and a trigger it never had', '&name=dispatchEmail&trigger=schedule'),
    page('name of a schedule and trigger queue', '&name=pruneJobRuns&trigger=queue'),
    page('status failed and trigger schedule', '&status=failed&trigger=schedule'),
    page('status failed and trigger cli', '&status=failed&trigger=cli'),
    page('status failed and from', `&status=failed&from=${at(0.06)}`),
    page('status running and trigger schedule', '&status=running&trigger=schedule'),
    page('status failed, from the middle', '&status=failed&cursor={cursor}'),
    page('name, from the middle', '&name=dispatchEmail&cursor={cursor}'),
    { what: 'CSV, first byte', kind: 'csv', path: '/api/jobs/runs.csv' },
    {
      what: 'CSV of failed runs, first byte',
      kind: 'csv',
      path: '/api/jobs/runs.csv?status=failed',
    },
    { what: 'overview', kind: 'console', path: '/api/console/overview' },
    { what: 'jobs', kind: 'console', path: '/api/console/jobs' },
    { what: 'one job, many runs', kind: 'console', path: '/api/console/jobs/dispatchEmail' },
    { what: 'one job, few runs', kind: 'console', path: '/api/console/jobs/pruneJobRuns' },
    { what: 'queue', kind: 'console', path: '/api/console/queue' },
    { what: 'workers', kind: 'console', path: '/api/console/workers' },
    {
      what: 'a worker, among the runs of all',
      kind: 'console',
      path: `/api/console/workers/nobody?at=${at(0.02)}`,
    },
    { what: 'list of jobs', kind: 'console', path: '/api/jobs' },
  ]
}

async function measureRead({ client, deep }: Side, { kind, path }: Read): Promise<number> {
  const target = path.replace('{cursor}', deep)
  return await (kind === 'csv' ? client.firstByte(target) : client.get(target))
}

/** The nextCursor that one would have half-way, after thousands of pages. */
async function findDeepCursor(url: string, rows: number): Promise<string> {
  return await withClient(url, async (client) => {
    const { rows: found } = await client.query<{ startedAt: Date; id: string }>(
      `select "startedAt", "id" from "JobRun" order by "startedAt" desc, "id" desc offset ${Math.floor(rows / 2)} limit 1`,
    )
    const [run] = found
    return Buffer.from(`${run?.startedAt.toISOString()}/${run?.id}`).toString('base64url')
  })
}
