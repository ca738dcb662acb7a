import { createFormats, type Formats } from './createFormats.ts'
import type { Printable, PrintableText } from './createPrintable.ts'
import type { InvoiceDocument, InvoiceParty, InvoiceSeller } from './invoiceDocument.ts'
import { invoiceLabels, type InvoiceLabels } from './invoiceLabels.ts'

/** What the template reads. All is formatted and translated, and only has to be placed. */
export interface InvoiceView {
  /** The language of the labels. */
  lang: string
  region: string | null
  rtl: boolean
  /** For the file's metadata, and for readers that read it aloud. */
  title: string
  heading: Piece[]
  /** Year, month, day. */
  issuedOn: [number, number, number]
  digits: string[]
  seller: { name: PrintableText; address: PrintableText[]; details: [string, PrintableText][] }
  /** The seller's name, short enough for the page's margins. */
  sellerShort: PrintableText
  /** Stands small above the recipient's address. */
  returnAddress: PrintableText
  customer: { name: PrintableText; address: PrintableText[]; email: PrintableText | null }
  facts: [string, PrintableText][]
  labels: Omit<InvoiceLabels, 'page'> & { page: (string | { number: 'page' | 'pages' })[] }
  lines: LineView[]
  sums: [Piece[], string][]
  total: string
  payment: Piece[]
  bankDetails: PrintableText[]
  notes: PrintableText[]
}

/** Our words, or a value that they are about. */
export type Piece = string | { text: string; rtl: boolean }

interface LineView {
  position: string
  description: PrintableText[]
  /** Whether the row might fill a page, and so has to break across pages. */
  isLong: boolean
  quantity: string
  unitPrice: string
  taxRate: string
  net: string
}

/** Longer text does not fit between the page's margins. */
const SHORT_LENGTH = 90
/**
 * However large the amounts are, a description has room for so many characters in a line, and a page for so many lines.
 */
const NARROWEST_LINE = 6
const LINES_OF_PAGE = 40

/**
 * Formats and translates an invoice for the template.
 * @throws RangeError for a locale, currency, date or number that is none
 */
export function describeInvoice(
  document: InvoiceDocument,
  createPrintable: (language: string) => Printable,
): InvoiceView {
  const { language, labels } = invoiceLabels(document.locale)
  const printable = createPrintable(language)
  const rtl = language === 'ar' || language === 'he'
  const formats = chooseFormats(document, printable)
  const { seller, customer } = document
  // What we format runs in the document's direction; an invoice's number runs from left to right in any.
  const formatted = (text: string): PrintableText => ({ text, rtl })
  const number = printable.line(document.number)
  const sellerName = printable.line(seller.name, partyText(seller))
  return {
    lang: language,
    region: new Intl.Locale(document.locale).region ?? null,
    rtl,
    title: fill(labels.heading, { number: rtl ? isolate(number.text) : number.text }),
    heading: pieces(labels.heading, { number }),
    issuedOn: dateParts(document.issuedOn),
    digits: formats.digits,
    seller: {
      name: sellerName,
      address: addressOf(seller, printable),
      details: [
        ...optional(labels.email, seller.email, printable),
        ...optional(labels.taxId, seller.taxId, printable),
      ],
    },
    sellerShort: printable.line(shorten(seller.name, SHORT_LENGTH), partyText(seller)),
    returnAddress: printable.line(
      shorten([seller.name, ...seller.address].join(' · '), SHORT_LENGTH),
      partyText(seller),
    ),
    customer: {
      name: printable.line(customer.name, partyText(customer)),
      address: addressOf(customer, printable),
      email: customer.email === undefined ? null : printable.line(customer.email),
    },
    facts: [
      [labels.number, number],
      [labels.issuedOn, formatted(formats.date(document.issuedOn))],
      [labels.dueOn, formatted(formats.date(document.dueOn))],
      ...optional(labels.customerTaxId, customer.taxId, printable),
    ],
    labels: {
      ...labels,
      net: fill(labels.net, { currency: document.currency }),
      page: pagePieces(labels.page),
    },
    lines: document.lines.map((line, index) => {
      const description = printable.lines(line.description)
      return {
        position: formats.count(index + 1),
        description,
        isLong: line.description.length / NARROWEST_LINE + description.length > LINES_OF_PAGE,
        quantity: formats.quantity(line.quantityMilli),
        unitPrice: formats.plainAmount(line.unitPriceMinor),
        taxRate: formats.rate(line.taxRateBasisPoints),
        net: formats.plainAmount(line.netMinor),
      }
    }),
    sums: [
      [[labels.netSum], formats.amount(document.netMinor)],
      ...document.taxes.map((tax): [Piece[], string] => [
        pieces(labels.taxSum, {
          rate: formatted(formats.rate(tax.rateBasisPoints)),
          net: formatted(formats.amount(tax.netMinor)),
        }),
        formats.amount(tax.taxMinor),
      ]),
    ],
    total: formats.amount(document.grossMinor),
    // A credit note asks nobody to pay.
    payment:
      document.grossMinor > 0
        ? pieces(labels.payBy, {
            amount: formatted(formats.amount(document.grossMinor)),
            date: formatted(formats.date(document.dueOn)),
            number,
          })
        : [],
    bankDetails: (seller.bankDetails ?? []).flatMap((line) => printable.lines(line)),
    notes: document.notes === undefined ? [] : printable.lines(document.notes),
  }
}

/**
 * Picks the locale's own formats if the fonts have all their characters. They lack Korean months or Bengali digits, for
 * instance; such an invoice is in English anyway.
 */
function chooseFormats(
  { locale, currency, currencyDigits }: InvoiceDocument,
  printable: Printable,
): Formats {
  const formats = createFormats(locale, currency, currencyDigits)
  const months = Array.from({ length: 12 }, (_, index) =>
    formats.date(`2026-${String(index + 1).padStart(2, '0')}-01`),
  )
  const samples = [...months, ...formats.digits, formats.amount(-123_456_789), formats.rate(1_950)]
  return samples.every(printable.canWrite)
    ? formats
    : createFormats('en-GB', currency, currencyDigits)
}

function addressOf(party: InvoiceParty, printable: Printable): PrintableText[] {
  return party.address.flatMap((line) => printable.lines(line, partyText(party)))
}

/** Name and address together: the address shows in which language the name is. */
function partyText({ name, address }: InvoiceParty | InvoiceSeller): string {
  return [name, ...address].join('\n')
}

function optional(
  label: string,
  value: string | undefined,
  printable: Printable,
): [string, PrintableText][] {
  return value === undefined ? [] : [[label, printable.line(value)]]
}

/** Splits a label at its {places} and puts the values there. */
function pieces(label: string, values: Record<string, { text: string; rtl: boolean }>): Piece[] {
  return label
    .split(/(\{\w+\})/)
    .filter((part) => part !== '')
    .map((part) => {
      const value = values[part.slice(1, -1)]
      return part.startsWith('{') && value ? { text: value.text, rtl: value.rtl } : part
    })
}

/** Splits "Page {page} of {pages}" at its places: only the template knows the numbers that belong there. */
function pagePieces(label: string): (string | { number: 'page' | 'pages' })[] {
  return label
    .split(/(\{\w+\})/)
    .filter((part) => part !== '')
    .map((part) => {
      if (part === '{page}') return { number: 'page' }
      return part === '{pages}' ? { number: 'pages' } : part
    })
}

function fill(label: string, values: Record<string, string>): string {
  return label.replaceAll(/\{(\w+)\}/g, (place, name: string) => values[name] ?? place)
}

/** Keeps a number among Arabic words from being turned around (Unicode Standard Annex 9, first strong isolate). */
function isolate(text: string): string {
  return `\u2068${text}\u2069`
}

function shorten(text: string, length: number): string {
  const graphemes = Array.from(new Intl.Segmenter('und').segment(text), ({ segment }) => segment)
  return graphemes.length <= length ? text : `${graphemes.slice(0, length - 1).join('')}…`
}

function dateParts(iso: string): [number, number, number] {
  const [year = 0, month = 0, day = 0] = iso.split('-').map(Number)
  return [year, month, day]
}
