import type { JobsClient } from '@roundsman/engine/client'
import type { Prisma, PrismaClient } from '@roundsman/db'
import { readTogether } from '../http/transact.ts'
import { findPdfState } from './invoicePdf.ts'

export type FoundInvoicePdf =
  | { kind: 'ready'; version: number; number: string; pdf: Buffer }
  /** Ready, and the client has it already. */
  | { kind: 'known'; version: number }
  | { kind: 'waiting' | 'running'; retryAfterSeconds: number }
  | { kind: 'failed'; errorCode: string }
  /** Somebody asked for an earlier version, nobody for this one. */
  | { kind: 'outdated' }
  | { kind: 'none' }
  | { kind: 'notFound' }

/** Finds what there is of the PDF of an invoice's current version. */
export async function findInvoicePdf(
  prisma: PrismaClient,
  jobsClient: JobsClient,
  invoiceId: string,
  /** Whether the client has this version. Asked first, so that no PDF is read in vain. */
  { isKnown }: { isKnown: (version: number) => boolean },
): Promise<FoundInvoicePdf> {
  // In one snapshot: work that has ended has left its PDF, and never looks finished without one.
  return await readTogether(prisma, async (tx) => {
    const invoice = await tx.invoice.findUnique({
      where: { id: invoiceId },
      select: { number: true, version: true },
    })
    if (!invoice) return { kind: 'notFound' }
    const { number, version } = invoice
    const state = await findPdfState(tx, jobsClient, { invoiceId, version })
    switch (state.kind) {
      case 'ready': {
        if (isKnown(version)) return { kind: 'known', version }
        const { pdf } = await tx.invoicePdf.findUniqueOrThrow({
          where: { invoiceId_version: { invoiceId, version } },
          select: { pdf: true },
        })
        return { kind: 'ready', version, number, pdf: Buffer.from(pdf ?? []) }
      }
      case 'waiting':
        return {
          kind: 'waiting',
          retryAfterSeconds: await secondsUntil(tx, state.startAfter),
        }
      case 'running':
        return { kind: 'running', retryAfterSeconds: 1 }
      case 'failed':
        return { kind: 'failed', errorCode: state.errorCode }
      case 'none': {
        const earlier = await tx.invoicePdf.count({
          where: { invoiceId, version: { lt: version } },
        })
        return { kind: earlier > 0 ? 'outdated' : 'none' }
      }
      default:
        return state satisfies never
    }
  })
}

/** Seconds until an instant, at least one. By the database's clock, because that one set the instant. */
async function secondsUntil(tx: Prisma.TransactionClient, instant: string): Promise<number> {
  const [row] = await tx.$queryRaw<{ seconds: number }[]>`
    select greatest(1, ceil(extract(epoch from ${instant}::timestamptz - now())))::int as "seconds"`
  return row?.seconds ?? 1
}
