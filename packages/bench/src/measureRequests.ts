import { randomUUID } from 'node:crypto'
import { hashPassword, type PrismaClient } from '@roundsman/db'
import { renderInvoicePdf } from '@roundsman/jobs'
import { createJobsClient } from '@roundsman/runtime/client'
import { log, openServer } from './openServer.ts'
import { startProcess } from './startProcess.ts'
import { median, quantile } from './statistics.ts'

export interface RequestFigures {
  rounds: number
  requests: number
  waiting: number
  /** Of POST /api/invoices/:id/pdf, in milliseconds: medians over the rounds. */
  idle: Latency
  /** With so many PDFs waiting, and nobody who renders them. */
  queued: Latency
  /** The same while a worker on this machine renders them as fast as it can. */
  rendering: Latency
}

export interface Latency {
  p50: number
  p99: number
}

const ROUNDS = 5
const REQUESTS = 500
const WAITING = 10_000
const PASSWORD = 'only for this bench'

/** Whether asking for a PDF gets slower when many are waited for. */
export async function measureRequests(): Promise<RequestFigures> {
  const server = await openServer()
  const { prisma, url } = server
  const client = createJobsClient({ databaseUrl: url, log })
  await client.start()
  const api = await startProcess('apps/api/src/server.ts', {
    DATABASE_URL: url,
    PORT: '0',
    LOG_LEVEL: 'info',
  })
  try {
    const token = await logIn(prisma, api.url)
    await createInvoices(prisma, (ROUNDS * 3 + 1) * REQUESTS + WAITING)
    const fresh = await freshInvoices(prisma)
    const measure = () => request(api.url, token, fresh)
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
    const idle: Latency[] = []
    const queued: Latency[] = []
    const rendering: Latency[] = []
    for (let round = 0; round < ROUNDS; round++) {
      await emptyQueue(prisma)
      idle.push(await measure())
      await ask(Array.from({ length: WAITING }, () => randomUUID()))
      await prisma.$executeRaw`analyze pgboss.job`
      queued.push(await measure())
      await emptyQueue(prisma)
      await ask(await takeInvoices(prisma, WAITING))
      const worker = await startProcess('apps/worker/src/main.ts', {
        DATABASE_URL: url,
        WORKER_PORT: '0',
      })
      try {
        await untilRendering(prisma)
        rendering.push(await measure())
      } finally {
        await worker.stop()
      }
    }
    return {
      rounds: ROUNDS,
      requests: REQUESTS,
      waiting: WAITING,
      idle: middle(idle),
      queued: middle(queued),
      rendering: middle(rendering),
    }
  } finally {
    await api.stop()
    await client.stop()
    await server.close()
  }
}

function middle(latencies: readonly Latency[]): Latency {
  return {
    p50: median(latencies.map(({ p50 }) => p50)),
    p99: median(latencies.map(({ p99 }) => p99)),
  }
}

/** One after the other, each for an invoice that was not asked for. */
async function request(url: string, token: string, fresh: Iterator<string>): Promise<Latency> {
  const latencies: number[] = []
  for (let n = 0; n < REQUESTS; n++) {
    const { value: id } = fresh.next() as IteratorResult<string, never>
    const startedAt = performance.now()
    const response = await fetch(`${url}/api/invoices/${id}/pdf`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    })
    await response.arrayBuffer()
    latencies.push(performance.now() - startedAt)
    if (response.status !== 202) throw new Error(`Asking for a PDF was answered ${response.status}`)
  }
  return { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) }
}

async function logIn(prisma: PrismaClient, url: string): Promise<string> {
  const email = 'bench@example.com'
  await prisma.user.create({
    data: { email, role: 'staff', passwordHash: await hashPassword(PASSWORD) },
  })
  const response = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password: PASSWORD }),
  })
  return ((await response.json()) as { token: string }).token
}

async function createInvoices(prisma: PrismaClient, count: number): Promise<void> {
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
}

async function freshInvoices(prisma: PrismaClient): Promise<Iterator<string>> {
  const invoices = await prisma.invoice.findMany({
    select: { id: true },
    orderBy: { number: 'asc' },
    take: (ROUNDS * 3 + 1) * REQUESTS,
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
  await prisma.$executeRaw`truncate pgboss.job, "JobRun"`
}

async function untilRendering(prisma: PrismaClient): Promise<void> {
  while ((await prisma.jobRun.count({ where: { status: 'success' } })) === 0) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
