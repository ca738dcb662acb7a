import { AmountTooLargeError, computeTotals, type InvoiceTotals } from '@roundsman/billing'
import { invalidRequest } from '../http/problem.ts'
import type { InvoiceBody } from './invoiceBody.ts'

export type UnpricedLines = readonly (Omit<InvoiceBody['lines'][number], 'quantity'> & {
  quantityMilli: number
})[]

/** @throws Problem 400 that names the amount which can't be counted exactly */
export function totalInvoice(lines: UnpricedLines): InvoiceTotals {
  const totals = tryTotals(lines)
  if (totals) return totals
  const index = lines.findIndex((line) => !tryTotals([line]))
  throw invalidRequest([
    index === -1
      ? { path: 'body.lines', message: 'add up to more than can be counted exactly' }
      : {
          path: `body.lines.${index}.unitPriceMinor`,
          message: 'comes, with its quantity and tax, to more than can be counted exactly',
        },
  ])
}

function tryTotals(lines: UnpricedLines): InvoiceTotals | undefined {
  try {
    return computeTotals(lines)
  } catch (error) {
    if (error instanceof AmountTooLargeError) return undefined
    throw error
  }
}
