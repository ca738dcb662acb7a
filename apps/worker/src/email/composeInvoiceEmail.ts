import { minorUnitDigits } from '@roundsman/billing'
import { createFormats } from '../invoicePdf/createFormats.ts'
import { invoiceLabels } from '../invoicePdf/invoiceLabels.ts'
import type { OutgoingEmail } from './createMailer.ts'
import { invoiceEmailTexts, type InvoiceEmailTexts } from './invoiceEmailTexts.ts'

export interface InvoiceEmailSource {
  number: string
  /** BCP 47. Without words for the language, the e-mail is in English, as the invoice is. */
  locale: string
  /** ISO 4217. */
  currency: string
  grossMinor: bigint
  /** Midnight in UTC, as Prisma reads a column of dates. */
  dueOn: Date
  customerName: string
  pdf: Uint8Array
}

export type InvoiceEmail = Pick<
  OutgoingEmail,
  'language' | 'subject' | 'text' | 'html' | 'attachments'
>

/** Writes the e-mail for an invoice, in its language and with its figures, and attaches the PDF. */
export function composeInvoiceEmail(source: InvoiceEmailSource): InvoiceEmail {
  const { currency, grossMinor, dueOn, pdf } = source
  const locale = knownLocale(source.locale)
  const { language } = invoiceLabels(locale)
  const texts = invoiceEmailTexts[language]
  const formats = createFormats(locale, currency, minorUnitDigits(currency) ?? 2)
  const number = oneLine(source.number)
  const values: Values = {
    number,
    name: oneLine(source.customerName),
    rows: [
      [texts.amount, formats.amount(Number(grossMinor))],
      [texts.dueDate, formats.date(dueOn.toISOString().slice(0, 10))],
    ],
    language,
  }
  return {
    language,
    subject: texts.subject(number),
    text: toText(texts, values),
    html: toHtml(texts, values),
    attachments: [
      {
        filename: toFileName(number),
        contentType: 'application/pdf',
        content: Buffer.from(pdf),
      },
    ],
  }
}

interface Values {
  number: string
  name: string
  rows: readonly [string, string][]
  language: string
}

/** English for a tag that is none: the customer gets their invoice all the same. */
function knownLocale(tag: string): string {
  try {
    return new Intl.Locale(tag).toString()
  } catch {
    return 'en'
  }
}

/** Writes the e-mail as plain text. In a language from right to left, foreign values are isolated. */
function toText(texts: InvoiceEmailTexts, { number, name, rows }: Values): string {
  const value = (text: string) => (texts.direction === 'rtl' ? isolate(text) : text)
  return [
    texts.greeting(value(name)),
    '',
    texts.introduction(value(number)),
    '',
    ...rows.map(([label, text]) => `${label}: ${value(text)}`),
    '',
    texts.attachment,
    '',
  ].join('\n')
}

/** Writes the same as HTML, with all foreign values escaped. */
function toHtml(texts: InvoiceEmailTexts, { number, name, rows, language }: Values): string {
  // <bdi> keeps a text of one direction from mixing with what stands beside it in the other.
  const value = (text: string) => `<bdi>${escape(text)}</bdi>`
  const { direction } = texts
  const side = direction === 'rtl' ? 'left' : 'right'
  return `<!doctype html>
<html lang="${language}" dir="${direction}">
<head><meta charset="utf-8"><title>${escape(texts.subject(number))}</title></head>
<body dir="${direction}" style="margin:0;padding:24px;font-family:sans-serif;font-size:16px;line-height:1.5;color:#1a1a1a">
<p>${texts.greeting(value(name))}</p>
<p>${texts.introduction(value(number))}</p>
<table role="presentation" cellpadding="0" cellspacing="0">
${rows
  .map(
    ([label, text]) =>
      `<tr><td style="padding:4px 0;padding-${side}:24px">${escape(label)}</td><td style="padding:4px 0"><strong>${value(text)}</strong></td></tr>`,
  )
  .join('\n')}
</table>
<p>${texts.attachment}</p>
</body>
</html>
`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Escapes a text for HTML, in elements and in attributes. */
export function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}

/** FIRST STRONG ISOLATE to POP DIRECTIONAL ISOLATE: does in plain text what <bdi> does in HTML. */
function isolate(text: string): string {
  return `\u2068${text}\u2069`
}

/** Replaces line breaks: one in a name could add a line of the text, or a header, that somebody else has written. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()
}

function toFileName(number: string): string {
  return `${number.replaceAll(/[\p{C}/\\:*?"<>|]/gu, '-')}.pdf`
}
