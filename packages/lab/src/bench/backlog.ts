import { setTimeout as pause } from 'node:timers/promises'
import { formatNumber, ms, range, table } from '../markdown.ts'
import {
  bySide,
  compare,
  latencyOf,
  median,
  middle,
  summarise,
  type Latency,
} from '../statistics.ts'
import { startApi } from '../apps.ts'
import { fillStatement } from './cleanup/cleanupData.ts'
import { createHttpClient } from './createHttpClient.ts'
import { enqueueUpTo } from './enqueueUpTo.ts'
import type { Bench } from './openBench.ts'
import { logIn, withClient } from './openServer.ts'
import { defineScenario } from './scenario.ts'
import { BACKLOG } from './throughput/engines/createRoundsman.ts'
import { measureHandlers, type EngineChoice } from './throughput/runEngine.ts'
import { migrateEngine, openPrisma } from '../product.ts'

const SITUATIONS = ['idle', 'backlog'] as const
type Situation = (typeof SITUATIONS)[number]

/** What somebody waits for, and how a plot says it. */
const WAITS = {
  enqueue: {
    label: '`POST /api/invoices/:id/pdf`, which enqueues',
    short: 'request that enqueues',
  },
  validation: {
    label: '`GET /api/public/preview/:token`, which validates',
    short: 'request that validates',
  },
  handler: { label: 'from `enqueue` to the handler of another job', short: 'enqueue to handler' },
}
type Wait = keyof typeof WAITS
const WAIT_NAMES = Object.keys(WAITS) as Wait[]

interface BacklogFigures {
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

export const backlog = defineScenario<BacklogFigures>({
  name: 'backlog',
  title: 'Under a full backlog',
  rounds: 5,
  measure: measureBacklog,
  targets: () => [],
  render(figures) {
    const { waiting, concurrency, requests, jobs, latencies, worked, left } = figures
    const rows = WAIT_NAMES.map((wait) => {
      const idle = middle(latencies[wait].idle)
      const full = middle(latencies[wait].backlog)
      const ratio = compare(p99Of(figures, wait, 'backlog'), p99Of(figures, wait, 'idle'))
      return [
        WAITS[wait].label,
        ...[idle.p50, idle.p99, full.p50, full.p99].map(ms),
        `${formatNumber(ratio.median)} (${range(ratio)})`,
      ]
    })
    return `${formatNumber(waiting)} pieces of a job's work wait, and a worker carries them out, ${formatNumber(concurrency)} at once, each of which does nothing: it and
PostgreSQL have as much to do as they can. Beside it, on the same processors, the API answers somebody who asks for a PDF and
opens a preview by turns, ${formatNumber(requests)} times in each round; then ${formatNumber(jobs)} pieces of another job's work are enqueued, one every 20 to 40 ms, for
the same worker. ${formatNumber(summarise(worked).median)} pieces of the backlog were worked a second meanwhile, and ${formatNumber(Math.min(...left))} at least were left in the end.

${table(['', 'idle, p50', 'p99', 'full backlog, p50', 'p99', 'p99 to idle'], rows)}

${forATeam(figures)}`
  },
  plots: (figures) => [
    {
      name: 'p99',
      title: 'p99 while a worker is idle, and while it has a full backlog',
      unit: 'ms',
      bars: WAIT_NAMES.flatMap((wait) =>
        SITUATIONS.map((situation) => ({
          label: `${situation}: ${WAITS[wait].short}`,
          value: summarise(p99Of(figures, wait, situation)),
          isOurs: situation === 'backlog',
        })),
      ),
    },
  ],
})

function p99Of({ latencies }: BacklogFigures, wait: Wait, situation: Situation): number[] {
  return latencies[wait][situation].map(({ p99 }) => p99)
}

function forATeam(figures: BacklogFigures): string {
  const { waiting, worked } = figures
  const of = (wait: Wait, situation: Situation) => ms(median(p99Of(figures, wait, situation)))
  return `For a team that has just enqueued an import of ${formatNumber(waiting)} pieces: one worker would need ${formatNumber(waiting / summarise(worked).median)} s for it. Meanwhile 99 of 100 requests that
enqueue are answered within ${of('enqueue', 'backlog')} (idle: ${of('enqueue', 'idle')}), 99 of 100 visitors within ${of('validation', 'backlog')} (${of('validation', 'idle')}), and another job's
work does not queue behind the import: 99 of 100 handlers begin within ${of('handler', 'backlog')} (${of('handler', 'idle')}).`
}

/** Between two requests of somebody who clicks through a product. */
const REQUEST_PAUSE_MS = 4
const CONCURRENCY = 100
const WARM_UP = 50

/** What requests and another job's work notice of a worker that has a full backlog to carry out. */
async function measureBacklog(bench: Bench): Promise<BacklogFigures> {
  const waiting = bench.sized({ small: 2_000, full: 300_000 })
  const requests = bench.sized({ small: 10, full: 300 })
  const jobs = bench.sized({ small: 10, full: 100 })
  const server = await bench.server()
  const figures: BacklogFigures = {
    waiting,
    concurrency: CONCURRENCY,
    requests,
    jobs,
    latencies: bySide(WAIT_NAMES, () => bySide(SITUATIONS, (): Latency[] => [])),
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
    const client = createHttpClient(api.url, await logIn(url, api.url, 'staff'))
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
      if (situation === 'backlog') await fillBacklog(url, waiting)
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
        figures.worked.push((waiting - left) / seconds)
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

/** Previews that are valid, and invoices of one line of which no PDF was asked for. Returns the invoices' ids. */
async function fill(url: string, count: number): Promise<string[]> {
  const previews = {
    job: 'cleanupPreviewSessions',
    rows: count,
    dueShare: 0,
    layout: 'together',
  } as const
  await withClient(url, (client) => client.query(fillStatement(previews, 1)))
  const prisma = openPrisma(url, 'bench')
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

async function fillBacklog(url: string, waiting: number): Promise<void> {
  await migrateEngine(url)
  await withClient(url, async (client) => {
    await enqueueUpTo(client, BACKLOG, waiting)
    await client.query('vacuum analyze "JobWork"')
    await client.query('checkpoint')
  })
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
