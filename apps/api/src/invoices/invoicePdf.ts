import { Prisma } from '@roundsman/db'
import { renderInvoicePdf } from '@roundsman/jobs'
import { findManyWork, type JobsClient, type WorkState } from '@roundsman/engine/client'

type Transaction = Prisma.TransactionClient

/** Where the PDF of one version of an invoice stands. */
export type PdfState =
  /** Nobody has asked for it, or the queue knows nothing of it any more: it has to be asked for. */
  | { kind: 'none' }
  /** Not before `startAfter`. */
  | { kind: 'waiting'; queueJobId: string; startAfter: string }
  | { kind: 'running'; queueJobId: string }
  | { kind: 'ready'; queueJobId: string }
  /** For good, unless it is asked for again. */
  | { kind: 'failed'; errorCode: string }

export interface InvoiceVersion {
  invoiceId: string
  version: number
}

interface AskedPdf extends InvoiceVersion {
  queueJobId: string
  isReady: boolean
}

export async function findPdfState(
  tx: Transaction,
  jobsClient: JobsClient,
  wanted: InvoiceVersion,
): Promise<PdfState> {
  return (await findPdfStates(tx, jobsClient, [wanted])).get(wanted.invoiceId) ?? { kind: 'none' }
}

/** The same of many invoices, each in one version, with two statements; those with `none` are left out. */
export async function findPdfStates(
  tx: Transaction,
  jobsClient: JobsClient,
  wanted: readonly InvoiceVersion[],
): Promise<Map<string, PdfState>> {
  const asked = await findAskedPdfs(tx, wanted)
  // The queue is not asked about what is done.
  const pending = asked.filter(({ isReady }) => !isReady)
  const ids = pending.map(({ queueJobId }) => queueJobId)
  const work = await findManyWork(jobsClient.readerIn(tx), renderInvoicePdf, ids)
  return new Map(asked.map((pdf) => [pdf.invoiceId, describe(pdf, work.get(pdf.queueJobId))]))
}

/**
 * Sees to it that the PDF of a version is rendered, and returns its work's id in the queue: of what waits,
 * runs or is done already, or of a new one. The caller holds the invoice.
 */
export async function requestInvoicePdf(
  tx: Transaction,
  jobsClient: JobsClient,
  { invoiceId, version }: InvoiceVersion,
): Promise<{ queueJobId: string; isReady: boolean }> {
  const state = await findPdfState(tx, jobsClient, { invoiceId, version })
  if (state.kind === 'ready' || state.kind === 'waiting' || state.kind === 'running') {
    return { queueJobId: state.queueJobId, isReady: state.kind === 'ready' }
  }
  const payload = { invoiceId, version }
  const uniqueKey = `${invoiceId}:${version}`
  const { queueJobId } = await jobsClient.enqueue(tx, renderInvoicePdf, payload, { uniqueKey })
  await tx.invoicePdf.upsert({
    where: { invoiceId_version: { invoiceId, version } },
    create: { invoiceId, version, queueJobId },
    update: { queueJobId },
  })
  return { queueJobId, isReady: false }
}

/** Those that somebody has asked for, without the pages themselves. */
async function findAskedPdfs(
  tx: Transaction,
  versions: readonly InvoiceVersion[],
): Promise<AskedPdf[]> {
  if (versions.length === 0) return []
  const pairs = versions.map(
    ({ invoiceId, version }) => Prisma.sql`(${invoiceId}::uuid, ${version}::int)`,
  )
  return await tx.$queryRaw<AskedPdf[]>`
    select "invoiceId"::text, "version", "queueJobId"::text, "pdf" is not null as "isReady"
    from "InvoicePdf" where ("invoiceId", "version") in (${Prisma.join(pairs)})`
}

function describe({ queueJobId, isReady }: AskedPdf, work: WorkState | undefined): PdfState {
  if (isReady) return { kind: 'ready', queueJobId }
  switch (work?.kind) {
    case 'waiting':
    case 'running':
      return { ...work, queueJobId }
    case 'failed':
      return work
    // Discarded, or done without a PDF: nobody is at work on it.
    case 'completed':
    case undefined:
      return { kind: 'none' }
    default:
      return work satisfies never
  }
}
