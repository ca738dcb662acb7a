import { createHash, randomUUID } from 'node:crypto'
import type { HandlersFor } from '@roundsman/engine'
import { minorUnitDigits } from '@roundsman/billing'
import { dispatchEmail, type sendWeeklyReport as job } from '@roundsman/jobs'
import { oneLine } from '../email/composeInvoiceEmail.ts'
import { domainOf, type Mailbox } from '../email/parseMailbox.ts'
import { createFormats } from '../invoicePdf/createFormats.ts'
import type { Transaction } from './handler.ts'

export interface SendWeeklyReportDependencies {
  from: Mailbox
}

const WEEK_MS = 7 * 86_400_000
/** A report that lists more is read by nobody. Their totals count all. */
const MAX_LISTED = 50

type Handler = HandlersFor<readonly [typeof job], Transaction>['sendWeeklyReport']

/**
 * Makes the handler that writes a report into the outbox, and waits until it is sent. A customer gets one a day at most. Neither
 * run nor log names the customer.
 */
export function sendWeeklyReport({ from }: SendWeeklyReportDependencies): Handler {
  return async ({ payload: { customerEmail }, run, step, now }) => {
    const emailId = await step.tx('write', async (tx, call) => {
      const report = await writeReport(tx)
      if (report !== null) call.count(report.counts)
      return report?.emailId ?? null
    })
    if (emailId !== null) await step.invoke('send', {}, dispatchEmail, { emailId })

    async function writeReport(tx: Transaction) {
      const timeZone = run.schedule?.timeZone ?? 'UTC'
      const until = run.scheduledFor ?? now()
      const since = run.schedule?.previousAt ?? new Date(until.getTime() - WEEK_MS)
      const where = { customerEmail, createdAt: { gt: since, lte: until } }
      const totals = await tx.invoice.groupBy({
        by: ['currency'],
        where,
        _count: true,
        _sum: { grossMinor: true },
        orderBy: { currency: 'asc' },
      })
      const count = totals.reduce((sum, { _count }) => sum + _count, 0)
      // A week without an invoice is no reason for a message.
      if (count === 0) return null
      const invoices = await tx.invoice.findMany({
        where,
        select: { number: true, currency: true, grossMinor: true, dueOn: true },
        orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
        take: MAX_LISTED,
      })
      const span = `${formatDay(since, timeZone)} to ${formatDay(until, timeZone)}`
      const text = [
        `Your invoices from ${span}:`,
        '',
        ...invoices.map(
          ({ number, currency, grossMinor, dueOn }) =>
            `${oneLine(number)}: ${formatAmount(grossMinor, currency)}, due on ${formatDay(dueOn)}`,
        ),
        ...(count > invoices.length
          ? [`and ${(count - invoices.length).toLocaleString('en')} more`]
          : []),
        '',
        ...totals.map(
          ({ currency, _sum }) =>
            `Total in ${currency}: ${formatAmount(_sum.grossMinor ?? 0n, currency)}`,
        ),
        '',
      ].join('\n')

      const id = randomUUID()
      const digest = createHash('sha256').update(`${customerEmail} ${formatDay(until, timeZone)}`)
      const messageId = `<report-${digest.digest('hex').slice(0, 32)}@${domainOf(from)}>`
      const { count: written } = await tx.emailMessage.createMany({
        data: {
          id,
          kind: 'report',
          recipient: customerEmail,
          messageId,
          subject: `Your invoices from ${span}`,
          text,
        },
        skipDuplicates: true,
      })
      return written === 0
        ? { emailId: null, counts: { reports: 0, invoices: 0 } }
        : { emailId: id, counts: { reports: 1, invoices: count } }
    }
  }
}

/** On the clocks of the customer's zone. */
function formatDay(at: Date, timeZone = 'UTC'): string {
  return at.toLocaleDateString('en-GB', { dateStyle: 'long', timeZone })
}

function formatAmount(minor: bigint, currency: string): string {
  return createFormats('en', currency, minorUnitDigits(currency) ?? 2).amount(Number(minor))
}
