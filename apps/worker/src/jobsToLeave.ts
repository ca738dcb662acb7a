import { dispatchEmail, renderInvoicePdf } from '@roundsman/jobs'
import type { Logger } from 'pino'
import type { WorkerEnvironment } from './env.ts'

/** What this worker can not carry out as it is set up. Nothing is lost: the work waits for one that can. */
export function jobsToLeave(
  { seller, SMTP_URL }: Pick<WorkerEnvironment, 'seller' | 'SMTP_URL'>,
  log: Logger,
): string[] {
  const leave: string[] = []
  if (seller === null) {
    log.warn({ remedy: 'set SELLER_NAME' }, 'no issuer for invoices is set: their PDFs wait')
    leave.push(renderInvoicePdf.name)
  }
  if (SMTP_URL === undefined) {
    log.warn({ remedy: 'set SMTP_URL' }, 'no mail server is set: mail waits')
    leave.push(dispatchEmail.name)
  }
  return leave
}
