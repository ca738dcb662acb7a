import { randomUUID } from 'node:crypto'
import { renderInvoicePdf } from '@roundsman/jobs'
import { createJobsClient } from '@roundsman/engine/client'
import { createDatabaseClient, type PrismaClient } from '@roundsman/db'
import { formatNumber, table } from '../markdown.ts'
import type { Bench } from '../openBench.ts'
import { log } from '../openServer.ts'
import { startApi, startWorker } from '../apps.ts'
import { createHttpClient, type HttpClient } from '../createHttpClient.ts'
import { createInvoices } from '../createInvoices.ts'
import { defineScenario } from '../scenario.ts'
import type { RunningProcess } from '../startProcess.ts'
import { latencyOf, middle, type Latency } from '../statistics.ts'

const SITUATIONS = ['idle', 'queued', 'rendering'] as const
type Situation = (typeof SITUATIONS)[number]

export interface RequestFigures {
  requests: number
  waiting: number
  /** POST /api/invoices/:id/pdf in milliseconds: medians over the rounds. */
  idle: Latency
  /** While so many PDFs wait and nobody renders them. */
  queued: Latency
  /** While a worker on this machine renders them as fast as it can. */
  rendering: Latency
}

export const requests = defineScenario<RequestFigures>({
  name: 'requests',
  title: 'Asking for a PDF while many are waited for',
  rounds: 3,
  measure: measureRequests,
  targets: () => [],
  render({ requests: count, waiting, idle, queued, rendering }) {
    const row = (what: string, { p50, p99 }: Latency) => [
      what,
      `${formatNumber(p50)} ms`,
      `${formatNumber(p99)} ms`,
      formatNumber(p99 / idle.p99),
    ]
    const many = formatNumber(waiting)
    return `\`POST /api/invoices/:id/pdf\`, ${formatNumber(count)} of them one after the other in each round.

${table(
  ['', 'p50', 'p99', 'p99 to idle'],
  [
    row('nothing waits', idle),
    row(`${many} PDFs wait`, queued),
    row(`${many} PDFs wait, and a worker on the same machine renders them`, rendering),
  ],
)}`
  },
  plots: () => [],
})

/** Measures whether asking for a PDF gets slower when many wait. */
async function measureRequests(bench: Bench): Promise<RequestFigures> {
  const count = bench.sized({ small: 30, full: 500 })
  const waiting = bench.sized({ small: 100, full: 10_000 })
  const server = await bench.server()
  const url = await server.createDatabase('requests')
  const prisma = createDatabaseClient({
    url,
    applicationName: 'bench',
    onPoolError: () => undefined,
    statementTimeoutMs: 600_000,
  })
  const client = createJobsClient({ schema: 'public', databaseUrl: url, log })
  await client.start()
  const api = await startApi(url)
  try {
    const token = await api.logIn('staff')
    const asked = (bench.rounds * 3 + 1) * count
    await createInvoices(prisma, asked + waiting)
    const fresh = await freshInvoices(prisma, asked)
    const http = createHttpClient(api.url, token)
    bench.onClose(async () => http.close())
    const measure = () => request(http, fresh, count)
    const ask = (invoiceIds: readonly string[]) =>
      prisma.$transaction(
        (tx) =>
          client.enqueueMany(
            tx,
            renderInvoicePdf,
            invoiceIds.map((invoiceId) => ({ payload: { invoiceId, version: 1 } })),
          ),
        { timeout: 60_000 },
      )
    await measure()
    const latencies: Record<Situation, Latency[]> = { idle: [], queued: [], rendering: [] }
    const prepare: Record<Situation, () => Promise<RunningProcess | null>> = {
      idle: async () => null,
      async queued() {
        await ask(Array.from({ length: waiting }, () => randomUUID()))
        await prisma.$executeRaw`analyze "JobWork"`
        return null
      },
      async rendering() {
        await ask(await takeInvoices(prisma, waiting))
        const worker = await startWorker(url)
        await untilRendering(prisma)
        return worker
      },
    }
    await bench.interleave(SITUATIONS, async (situation, round) => {
      bench.progress(`round ${round + 1}, ${situation}`)
      await emptyQueue(prisma)
      const worker = await prepare[situation]()
      latencies[situation].push(await measure())
      await worker?.stop()
    })
    return {
      requests: count,
      waiting,
      idle: middle(latencies.idle),
      queued: middle(latencies.queued),
      rendering: middle(latencies.rendering),
    }
  } finally {
    await api.stop()
    await client.stop()
    await prisma.$disconnect()
    await server.dropDatabase('requests')
  }
}

/** Sends the requests one after the other, each for an invoice without a request. */
async function request(http: HttpClient, fresh: Iterator<string>, count: number): Promise<Latency> {
  const latencies: number[] = []
  for (let n = 0; n < count; n++) {
    const { value: id } = fresh.next() as IteratorResult<string, never>
    latencies.push(await http.post(`/api/invoices/${id}/pdf`))
  }
  return latencyOf(latencies)
}

async function freshInvoices(prisma: PrismaClient, count: number): Promise<Iterator<string>> {
  const invoices = await prisma.invoice.findMany({
    select: { id: true },
    orderBy: { number: 'asc' },
    take: count,
  })
  return invoices.map(({ id }) => id).values()
}

async function takeInvoices(prisma: PrismaClient, count: number): Promise<string[]> {
  const invoices = await prisma.invoice.findMany({
    select: { id: true },
    orderBy: { number: 'desc' },
    take: count,
  })
  return invoices.map(({ id }) => id)
}

async function emptyQueue(prisma: PrismaClient): Promise<void> {
  await prisma.$executeRaw`truncate "JobWork", "JobPayload", "JobUnique", "JobDeadLetter", "JobClaim", "JobRun"`
}

async function untilRendering(prisma: PrismaClient): Promise<void> {
  while ((await prisma.jobRun.count({ where: { status: 'success' } })) === 0) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
