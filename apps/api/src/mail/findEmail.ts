import type { EmailMessage, PrismaClient } from '@roundsman/db'
import { dispatchEmail } from '@roundsman/jobs'
import { getWorkByKey, type JobsClient } from '@roundsman/engine/client'
import { readTogether } from '../http/transact.ts'
import { findPdfState } from '../invoices/invoicePdf.ts'

/**
 * How far two clocks may differ: the database's says when work was given up, and that of an API process when the
 * message was written.
 */
const CLOCK_TOLERANCE_MS = 3_600_000

/**
 * Reads a message with the status that people are shown. The row alone may be behind: it stays `queued` when its last
 * attempt was lost or cut off, and `failed` for a moment after an admin has had its work retried.
 */
export async function findEmail(
  prisma: PrismaClient,
  jobsClient: JobsClient,
  id: string,
): Promise<EmailMessage | null> {
  // In one snapshot: work that has ended has left its trace in the row, and never looks finished without it.
  return await readTogether(prisma, async (tx) => {
    const email = await tx.emailMessage.findUnique({ where: { id } })
    if (email === null || email.status === 'sent') return email
    const work = await getWorkByKey(
      jobsClient.readerIn(tx),
      dispatchEmail,
      id,
      new Date(email.createdAt.getTime() - CLOCK_TOLERANCE_MS),
    )
    if (work !== null && work.kind !== 'failed') {
      return { ...email, status: 'queued', errorCode: null }
    }
    if (email.status === 'failed') return email
    if (work !== null) return { ...email, status: 'failed', errorCode: work.errorCode }
    const { invoiceId, version } = email
    // Its work was discarded.
    if (invoiceId === null || version === null) {
      return { ...email, status: 'failed', errorCode: 'discarded' }
    }
    const pdf = await findPdfState(tx, jobsClient, { invoiceId, version })
    switch (pdf.kind) {
      // The worker that renders it enqueues the message's sending.
      case 'waiting':
      case 'running':
        return email
      case 'failed':
        return { ...email, status: 'failed', errorCode: pdf.errorCode }
      // Its work was discarded.
      case 'ready':
        return { ...email, status: 'failed', errorCode: 'discarded' }
      case 'none':
        return { ...email, status: 'failed', errorCode: 'pdf_missing' }
      default:
        return pdf satisfies never
    }
  })
}
