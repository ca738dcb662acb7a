import { setTimeout as pause } from 'node:timers/promises'
import { createDatabaseClient } from '@roundsman/db'
import { migrate } from '@roundsman/engine/migrate'
import { startApi } from '../apps.ts'
import { fillStatement } from '../cleanup/cleanupData.ts'
import { createHttpClient } from '../createHttpClient.ts'
import { enqueueUpTo } from '../enqueueUpTo.ts'
import { measureHandlers } from '../latency/measureHandlers.ts'
import type { Bench } from '../openBench.ts'
import { log, withClient } from '../openServer.ts'
import { latencyOf, type Latency } from '../statistics.ts'
import { BACKLOG } from '../throughput/engines/createRoundsman.ts'
import type { EngineChoice } from '../throughput/runEngine.ts'

export const SITUATIONS = ['idle', 'backlog'] as const
export type Situation = (typeof SITUATIONS)[number]

/** What somebody waits for; each of both situations, and of each round. */
export const WAITS = ['enqueue', 'validation', 'handler'] as const
export type Wait = (typeof WAITS)[number]

export interface BacklogFigures {
  /** Pieces of another job's work that wait when a round begins, and how many of them a worker has at once. */
  waiting: number
  concurrency: number
  requests: number
  jobs: number
  latencies: Record<Wait, Record<Situation, Latency[]>>
  /** Of the backlog, how much was worked a second meanwhile, and what was left in the end. */
  worked: number[]
  left: number[]
}

/** Between two requests of somebody who clicks through a product. */
const REQUEST_PAUSE_MS = 4
const CONCURRENCY = 100
const WARM_UP = 50

/** What requests and another job's work notice of a worker that has a full backlog to carry out. */
export async function measureBacklog(bench: Bench): Promise<BacklogFigures> {
  const waiting = bench.sized({ small: 2_000, full: 300_000 })
  const requests = bench.sized({ small: 10, full: 300 })
  const jobs = bench.sized({ small: 10, full: 100 })
  const server = await bench.server()
  const nothing = (): Record<Situation, Latency[]> => ({ idle: [], backlog: [] })
  const figures: BacklogFigures = {
    waiting,
    concurrency: CONCURRENCY,
    requests,
    jobs,
    latencies: { enqueue: nothing(), validation: nothing(), handler: nothing() },
    worked: [],
    left: [],
  }
  const choice: EngineChoice = {
    engine: 'roundsman',
    settings: { concurrency: 10, backlog: CONCURRENCY },
  }
  await bench.interleave(SITUATIONS, async (situation, round) => {
    bench.progress(`round ${round + 1}, ${situation}`)
    const url = await server.createDatabase('backlog')
    const invoiceIds = await fill(url, requests + WARM_UP)
    const api = await startApi(url)
    const client = createHttpClient(api.url, await api.logIn('staff'))
    const request = async (from: number, count: number) => {
      const enqueueMs: number[] = []
      const validationMs: number[] = []
      for (let n = from; n < from + count; n++) {
        enqueueMs.push(await client.post(`/api/invoices/${invoiceIds[n]}/pdf`))
        await pause(REQUEST_PAUSE_MS)
        validationMs.push(await client.get(`/api/public/preview/${n + 1}`))
        await pause(REQUEST_PAUSE_MS)
      }
      return { enqueue: latencyOf(enqueueMs), validation: latencyOf(validationMs) }
    }
    try {
      await request(0, WARM_UP)
      const before = situation === 'backlog' ? await fillBacklog(url, waiting) : 0
      let startedAtMs = NaN
      const handler = await measureHandlers(choice, url, jobs, bench.seed + round, async () => {
        startedAtMs = performance.now()
        const { enqueue, validation } = await request(WARM_UP, requests)
        figures.latencies.enqueue[situation].push(enqueue)
        figures.latencies.validation[situation].push(validation)
      })
      figures.latencies.handler[situation].push(handler)
      if (situation === 'backlog') {
        const seconds = (performance.now() - startedAtMs) / 1_000
        const left = await countBacklog(url)
        figures.worked.push((before - left) / seconds)
        figures.left.push(left)
      }
    } finally {
      client.close()
      await api.stop()
    }
  })
  await server.dropDatabase('backlog')
  return figures
}

/** Previews that are valid, and invoices of one line of which no PDF was asked for. */
async function fill(url: string, count: number): Promise<string[]> {
  const previews = {
    job: 'cleanupPreviewSessions',
    rows: count,
    dueShare: 0,
    layout: 'together',
  } as const
  await withClient(url, (client) => client.query(fillStatement(previews, 1)))
  const prisma = createDatabaseClient({
    url,
    applicationName: 'bench',
    onPoolError: () => undefined,
  })
  await prisma.$executeRaw`
    with invoice as (
      insert into "Invoice" ("id", "number", "locale", "currency", "issuedOn", "dueOn", "customerName",
                             "customerAddress", "netMinor", "taxMinor", "grossMinor")
      select gen_random_uuid(), 'bench-' || n, 'en-GB', 'EUR', '2026-01-01', '2026-01-15', 'Example Company',
             '{"1 Example Street"}', 10000, 1900, 11900
      from generate_series(1, ${count}::int) n returning "id"
    )
    insert into "InvoiceLine" ("id", "invoiceId", "position", "description", "quantityMilli", "unitPriceMinor",
                               "taxRateBasisPoints", "netMinor")
    select gen_random_uuid(), "id", 1, 'Work', 1000, 10000, 1900, 10000 from invoice`
  const invoices = await prisma.invoice.findMany({ select: { id: true } })
  await prisma.$disconnect()
  return invoices.map(({ id }) => id)
}

/** Returns how many pieces wait. */
async function fillBacklog(url: string, waiting: number): Promise<number> {
  await migrate({ schema: 'public', databaseUrl: url, log })
  await withClient(url, async (client) => {
    await enqueueUpTo(client, BACKLOG, waiting)
    await client.query('vacuum analyze "JobWork"')
    await client.query('checkpoint')
  })
  return waiting
}

async function countBacklog(url: string): Promise<number> {
  return await withClient(url, async (client) => {
    const { rows } = await client.query<{ count: number }>(
      `select count(*)::int as count from "JobWork" where "name" = $1`,
      [BACKLOG],
    )
    return rows[0]?.count ?? NaN
  })
}
