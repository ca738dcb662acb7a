import { setTimeout as delay } from 'node:timers/promises'
import type { Invoice, PrismaClient } from '@roundsman/db'
import type { dispatchEmail as job } from '@roundsman/jobs'
import { JobError, type Details } from '@roundsman/engine'
import {
  composeInvoiceEmail,
  escape,
  oneLine,
  type InvoiceEmail,
} from '../email/composeInvoiceEmail.ts'
import type { Mailer } from '../email/createMailer.ts'
import type { Handler, Transaction } from './handler.ts'

export interface DispatchEmailDependencies {
  prisma: PrismaClient
  /** Null when the environment names no mail server. */
  mailer: Pick<Mailer, 'send'> | null
}

const RECORD_MAX_DELAY_MS = 5_000

/**
 * Makes the handler that sends one message; its states stand with the job's definition. No error and no detail names
 * the recipient or the contents: runs are kept, and shown to people who must not know them.
 */
export function dispatchEmail(dependencies: DispatchEmailDependencies): Handler<typeof job> {
  const { prisma, mailer } = dependencies
  return async ({ payload: { emailId }, run, batch, now, signal }) => {
    if (mailer === null) throw new JobError('smtp_missing', 'SMTP_URL is not set')
    const message = await prisma.emailMessage.findUnique({
      where: { id: emailId },
      include: { invoice: true },
    })
    if (!message) {
      throw new JobError('email_missing', 'The message does not exist any more', {
        retryable: false,
      })
    }
    const { recipient, invoice, version, messageId } = message
    // A failed message comes here only because an admin redrove its work: it gets another chance.
    if (message.status === 'sent') return { isAlreadySent: true }
    // Text and attachment would show different versions. Whoever changed the invoice has moved waiting messages to the
    // new version, so the next attempt finds it; a message that had failed was not moved.
    if (invoice !== null && invoice.version !== version) {
      const text = 'The invoice has changed since the message was written'
      if (message.status === 'queued') throw new JobError('invoice_changed', text)
      return await giveUp('invoice_changed', text)
    }
    if (message.status === 'failed' && !run.dryRun) {
      await update(prisma, { status: 'queued', errorCode: null })
    }
    const composed = invoice === null ? composePlainEmail(message) : await composeWithPdf(invoice)
    // A dry run ends here: what was sent can't be rolled back.
    if (run.dryRun) return { isSendable: true }

    const outcome = await mailer.send(
      {
        ...composed,
        to: { name: nameOf(recipient, invoice), address: recipient },
        messageId,
        date: now(),
      },
      signal,
    )
    switch (outcome.kind) {
      case 'sent':
        return await recordSent()
      case 'refused': {
        const { code, smtpStatus } = outcome
        return await giveUp(code, 'The mail server refused the message for good', smtpStatus)
      }
      case 'unavailable': {
        const { reason, smtpStatus, smtpError } = outcome
        return await putOff('smtp_unavailable', reason, smtpStatus, { smtpError })
      }
      default:
        return outcome satisfies never
    }

    async function composeWithPdf(about: Invoice): Promise<InvoiceEmail> {
      const stored = await prisma.invoicePdf.findUnique({
        where: { invoiceId_version: { invoiceId: about.id, version: about.version } },
        select: { pdf: true },
      })
      if (!stored?.pdf) return await putOff('pdf_missing', 'The PDF has not been rendered yet')
      return composeInvoiceEmail({ ...about, pdf: stored.pdf })
    }

    /**
     * Records that the server has the message. To lose that would send it twice, so a database that is away is waited
     * for; and where this run is over or another has taken it over, it writes the row without a count.
     */
    async function recordSent() {
      // Somebody may have moved the message to another version meanwhile; this is the one that was sent.
      const data = { status: 'sent', version, sentAt: now(), errorCode: null } as const
      for (let failures = 0; ; failures++) {
        try {
          await batch(async (tx) => ({ sent: (await update(tx, data)).count }))
          return {}
        } catch (error) {
          if (error instanceof JobError || signal.aborted) {
            await update(prisma, data).catch(() => undefined)
            throw error
          }
        }
        const pauseMs = Math.min(100 * 2 ** failures, RECORD_MAX_DELAY_MS)
        await delay(pauseMs, undefined, { signal }).catch(() => undefined)
      }
    }

    async function giveUp(code: string, text: string, smtpStatus: string | null = null) {
      await markFailed(code, smtpStatus)
      throw new JobError(code, text, { retryable: false, details: statusDetails(smtpStatus) })
    }

    async function putOff(
      code: string,
      text: string,
      smtpStatus: string | null = null,
      details: Details = {},
    ): Promise<never> {
      // This was the last attempt: nobody tries again unless asked.
      if (run.retriesLeft === 0) await markFailed(code, smtpStatus)
      throw new JobError(code, text, { details: { ...statusDetails(smtpStatus), ...details } })
    }

    async function markFailed(code: string, smtpStatus: string | null) {
      const errorCode = smtpStatus === null ? code : `${code} ${smtpStatus}`
      await batch(async (tx) => ({
        failed: (await update(tx, { status: 'failed', errorCode })).count,
      }))
    }

    function update(
      tx: Pick<Transaction, 'emailMessage'>,
      data: {
        status: 'queued' | 'sent' | 'failed'
        version?: number | null
        sentAt?: Date
        errorCode: string | null
      },
    ) {
      // Another delivery of the same message may have been faster: a message that was sent stays sent.
      return tx.emailMessage.updateMany({ where: { id: emailId, status: { not: 'sent' } }, data })
    }
  }
}

/** Composes an e-mail from the text that was stored with it. */
function composePlainEmail(message: { subject: string | null; text: string | null }): InvoiceEmail {
  const subject = oneLine(message.subject ?? '')
  const text = message.text ?? ''
  return {
    language: 'en',
    subject,
    text,
    html: `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escape(subject)}</title></head>
<body style="margin:0;padding:24px;font-family:sans-serif;font-size:16px;line-height:1.5;color:#1a1a1a">
<p style="white-space:pre-line">${escape(text)}</p>
</body>
</html>
`,
    attachments: [],
  }
}

/** The recipient's name. Somebody other than the customer may have asked for the invoice, and gets no name. */
function nameOf(recipient: string, invoice: Invoice | null): string {
  return recipient === invoice?.customerEmail ? invoice.customerName : ''
}

function statusDetails(smtpStatus: string | null): Details {
  return smtpStatus === null ? {} : { smtpStatus }
}
