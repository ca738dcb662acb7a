import { storableLine, storableText } from '@roundsman/admin/http'
import { minorUnitDigits } from '@roundsman/billing'
import { z } from 'zod'
import { calendarDate } from '../http/calendarDate.ts'
import { quantity } from './quantity.ts'

const MAX_LINES = 5_000

/** Room for MAX_LINES lines, each with a long description. */
export const INVOICE_BODY_LIMIT_BYTES = 4 * 1024 * 1024

/** No longer than what a mail server takes. */
export const emailAddress = z.email().max(254)

const customerSchema = z.strictObject({
  name: storableLine({ max: 200 }),
  address: z
    .array(storableLine({ max: 200 }))
    .max(10)
    .describe('One entry a line'),
  email: emailAddress.nullish(),
  taxId: storableLine({ max: 50 }).nullish(),
})

const lineSchema = z.strictObject({
  description: storableText({ max: 500 }),
  quantity,
  unitPriceMinor: z.int().describe('In the minor unit of the currency; negative for a discount'),
  taxRateBasisPoints: z.int().min(0).max(10_000).describe('Hundredths of a per cent'),
})

const TOO_MANY_LINES = `has more than ${MAX_LINES} lines`

export const invoiceBody = z.strictObject({
  number: storableLine({ max: 64 }).optional(),
  customer: customerSchema,
  currency: z
    .string()
    .refine((code) => minorUnitDigits(code) !== null, 'has to be a code of ISO 4217, such as EUR')
    .describe('ISO 4217'),
  locale: z
    .string()
    .max(64)
    .transform((tag, context) => {
      const locale = canonicalLocale(tag)
      if (locale !== undefined) return locale
      context.addIssue('has to be a language that invoices support, such as en-GB (BCP 47)')
      return z.NEVER
    })
    .describe('BCP 47: the language and the formats of the page'),
  issuedOn: calendarDate.optional(),
  dueOn: calendarDate.optional(),
  notes: storableText({ max: 2_000 }).nullish(),
  lines: z.preprocess((lines, context) => {
    // Counted before zod checks each line: a body has room for a million empty ones.
    if (!Array.isArray(lines) || lines.length <= MAX_LINES) return lines
    context.addIssue(TOO_MANY_LINES)
    return z.NEVER
  }, z.array(lineSchema).min(1).max(MAX_LINES)),
})

/** What a client says of an invoice, checked. */
export type InvoiceBody = z.output<typeof invoiceBody>

/** The tag in its canonical form. Undefined for what is no single tag, or a language that Node has no formats for. */
function canonicalLocale(tag: string): string | undefined {
  try {
    return Intl.NumberFormat.supportedLocalesOf(Intl.getCanonicalLocales(tag))[0]
  } catch {
    // The RangeError quotes what was sent, so it is not passed on.
    return undefined
  }
}
