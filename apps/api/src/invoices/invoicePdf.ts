import { Prisma } from '@roundsman/db'
import { renderInvoicePdf } from '@roundsman/jobs'
import { getManyWork, type JobsClient, type WorkState } from '@roundsman/engine/client'

/*
 * The PDF of one version of an invoice (PdfState), read from its row in InvoicePdf and from its work in the queue:
 *
 *   none     No row, or a row whose work is gone without a PDF. requestInvoicePdf makes it waiting.
 *   waiting  Its work is in the queue. A worker that takes it makes it running.
 *   running  A worker renders it and makes it ready. A failed attempt makes it waiting again, or failed once it is given
 *            up. A worker that finds the invoice changed stores nothing: none.
 *   ready    The row has the PDF. Final.
 *   failed   A dead letter. requestInvoicePdf or an admin who retries it makes it waiting, and discarding it makes it none.
 *
 * A changed invoice has a new version, which begins at none; renewPdfRequests asks for it where somebody waited.
 */

type Transaction = Prisma.TransactionClient

/** Where the PDF of one version of an invoice stands. */
export type PdfState =
  /** Nobody has asked for it, or the queue does not know the work any more: it has to be asked for. */
  | { kind: 'none' }
  /** A worker takes it, but not before `startAfter`. */
  | { kind: 'waiting'; workId: string; startAfter: string }
  | { kind: 'running'; workId: string }
  | { kind: 'ready'; workId: string }
  /** Given up. It stays so until somebody asks again, or an admin retries the work. */
  | { kind: 'failed'; errorCode: string }

export interface InvoiceVersion {
  invoiceId: string
  version: number
}

interface AskedPdf extends InvoiceVersion {
  workId: string
  isReady: boolean
}

/** Finds where the PDF of one version stands. */
export async function findPdfState(
  tx: Transaction,
  jobsClient: JobsClient,
  wanted: InvoiceVersion,
): Promise<PdfState> {
  return (await findPdfStates(tx, jobsClient, [wanted])).get(wanted.invoiceId) ?? { kind: 'none' }
}

/**
 * Finds the same for many invoices, each in one version, with two statements. It leaves out those in the state `none`.
 */
export async function findPdfStates(
  tx: Transaction,
  jobsClient: JobsClient,
  wanted: readonly InvoiceVersion[],
): Promise<Map<string, PdfState>> {
  const asked = await findAskedPdfs(tx, wanted)
  // What is ready needs no question to the queue.
  const pending = asked.filter(({ isReady }) => !isReady)
  const ids = pending.map(({ workId }) => workId)
  const work = await getManyWork(jobsClient.readerIn(tx), renderInvoicePdf, ids)
  return new Map(asked.map((pdf) => [pdf.invoiceId, describe(pdf, work.get(pdf.workId))]))
}

/**
 * Sees to it that a version's PDF is rendered, and returns the id of the work in the queue: of what waits, runs or is
 * done, or else of new work. The caller holds the invoice's lock, so that two requests do not both enqueue.
 */
export async function requestInvoicePdf(
  tx: Transaction,
  jobsClient: JobsClient,
  { invoiceId, version }: InvoiceVersion,
  requestId: string,
): Promise<{ workId: string; isReady: boolean }> {
  const state = await findPdfState(tx, jobsClient, { invoiceId, version })
  if (state.kind === 'ready' || state.kind === 'waiting' || state.kind === 'running') {
    return { workId: state.workId, isReady: state.kind === 'ready' }
  }
  const payload = { invoiceId, version }
  const uniqueKey = `${invoiceId}:${version}`
  const options = { uniqueKey, enqueuedBy: `request ${requestId}` }
  const { workId } = await jobsClient.enqueue(tx, renderInvoicePdf, payload, options)
  await tx.invoicePdf.upsert({
    where: { invoiceId_version: { invoiceId, version } },
    create: { invoiceId, version, workId },
    update: { workId },
  })
  return { workId, isReady: false }
}

/** Reads which of these versions somebody has asked for, without the PDFs themselves. */
async function findAskedPdfs(
  tx: Transaction,
  versions: readonly InvoiceVersion[],
): Promise<AskedPdf[]> {
  if (versions.length === 0) return []
  const pairs = versions.map(
    ({ invoiceId, version }) => Prisma.sql`(${invoiceId}::uuid, ${version}::int)`,
  )
  return await tx.$queryRaw<AskedPdf[]>`
    select "invoiceId"::text, "version", "queueJobId"::text as "workId", "pdf" is not null as "isReady"
    from "InvoicePdf" where ("invoiceId", "version") in (${Prisma.join(pairs)})`
}

/** The state of a PDF by its row and by its work in the queue, if the queue still knows it. */
function describe({ workId, isReady }: AskedPdf, work: WorkState | undefined): PdfState {
  if (isReady) return { kind: 'ready', workId }
  switch (work?.kind) {
    case 'waiting':
    case 'running':
      return { ...work, workId }
    case 'failed':
      return work
    // The work was discarded, or ended without a PDF: nobody renders it.
    case 'completed':
    case undefined:
      return { kind: 'none' }
    default:
      return work satisfies never
  }
}
