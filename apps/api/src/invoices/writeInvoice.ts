import { Problem, invalidRequest } from '@roundsman/admin/http'
import { AmountTooLargeError, computeTotals, type InvoiceTotals } from '@roundsman/billing'
import { Prisma, type Invoice } from '@roundsman/db'
import { addDays, formatDate, toDate } from '../http/calendarDate.ts'
import type { InvoiceBody } from './invoiceBody.ts'

/** How long a customer has to pay when the invoice names no date. */
const DAYS_TO_PAY = 14

type Transaction = Prisma.TransactionClient

/**
 * Writes a new invoice with its lines. Without a number of its own it gets the next one, such as 2026-000123.
 * @throws Problem 400 when its amounts or dates do not fit, 409 when its number is taken
 */
export async function createInvoice(
  tx: Transaction,
  body: InvoiceBody,
  now: Date,
): Promise<{ id: string; version: number }> {
  const today = formatDate(now)
  const { columns, lines } = toRows(body, { issuedOn: today })
  const data = { ...columns, createdAt: now }
  const created =
    body.number === undefined
      ? await insertWithNextNumber(tx, data, columns.issuedOn.getUTCFullYear())
      : await insert(tx, { ...data, number: body.number })
  if (!created) throw numberTaken()
  await insertLines(tx, created.id, lines)
  return created
}

/**
 * Writes the next version of an invoice, or returns null when there is none. A number or date that the body leaves out
 * stays.
 * @throws Problem 400 when its amounts or dates do not fit, 409 when somebody changed it since, or its new number is
 * taken
 */
export async function changeInvoice(
  tx: Transaction,
  id: string,
  body: InvoiceBody & { version: number },
): Promise<{ id: string; version: number } | null> {
  const current = await lockInvoice(tx, id)
  if (!current) return null
  if (current.version !== body.version) {
    throw new Problem(409, {
      detail: `The invoice was changed since: its version is ${current.version}, not ${body.version}; read it again`,
    })
  }
  const { columns, lines } = toRows(body, {
    issuedOn: formatDate(current.issuedOn),
    dueOn: formatDate(current.dueOn),
  })
  const version = current.version + 1
  const number = body.number === undefined ? {} : { number: body.number }
  try {
    await tx.invoice.update({ where: { id }, data: { ...columns, ...number, version } })
  } catch (error) {
    if (isUniqueViolation(error)) throw numberTaken()
    throw error
  }
  await tx.invoiceLine.deleteMany({ where: { invoiceId: id } })
  await insertLines(tx, id, lines)
  return { id, version }
}

/**
 * Locks an invoice until the transaction ends. The worker that stores its PDF locks it as well before it looks who
 * waits for one: whoever has the lock and finds no PDF can add a request that the worker will see.
 */
export async function lockInvoice(tx: Transaction, id: string): Promise<LockedInvoice | null> {
  const [invoice] = await tx.$queryRaw<LockedInvoice[]>`
    select "version", "issuedOn", "dueOn", "customerEmail" from "Invoice"
    where "id" = ${id}::uuid for update`
  return invoice ?? null
}

type LockedInvoice = Pick<Invoice, 'version' | 'issuedOn' | 'dueOn' | 'customerEmail'>

/**
 * Takes numbers from a sequence: nobody waits for others, as with a lock on the highest number, and no chosen number
 * misleads it. The price is a gap where a transaction is rolled back.
 */
async function insertWithNextNumber(
  tx: Transaction,
  data: Omit<Prisma.InvoiceCreateManyInput, 'number'>,
  year: number,
): Promise<{ id: string; version: number }> {
  while (true) {
    const [next] = await tx.$queryRaw<{ value: string }[]>`
      select lpad(value::text, greatest(6, length(value::text)), '0') as "value"
      from nextval('"Invoice_number_seq"') value`
    const number = `${year}-${next?.value}`
    const created = await insert(tx, { ...data, number })
    // Somebody chose this number. The sequence is past it now, whatever becomes of this transaction.
    if (created) return created
  }
}

/** Returns undefined when the number is taken. It waits for a transaction that is about to take it. */
async function insert(
  tx: Transaction,
  data: Prisma.InvoiceCreateManyInput,
): Promise<{ id: string; version: number } | undefined> {
  // A plain insert would fail, and with it the whole transaction.
  const [created] = await tx.invoice.createManyAndReturn({
    data: [data],
    skipDuplicates: true,
    select: { id: true, version: true },
  })
  return created
}

interface LineRow {
  position: number
  description: string
  quantityMilli: number
  unitPriceMinor: number
  taxRateBasisPoints: number
  netMinor: number
}

/** Inserts all lines with one statement, however many there are. */
async function insertLines(tx: Transaction, invoiceId: string, lines: LineRow[]): Promise<void> {
  await tx.$executeRaw`
    insert into "InvoiceLine" ("id", "invoiceId", "position", "description", "quantityMilli",
      "unitPriceMinor", "taxRateBasisPoints", "netMinor")
    select gen_random_uuid(), ${invoiceId}::uuid, line.*
    from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) as line(
      "position" int, "description" text, "quantityMilli" int, "unitPriceMinor" bigint,
      "taxRateBasisPoints" int, "netMinor" bigint)`
}

/** Turns a body into columns and lines. `dates` count where the body names none. */
function toRows(body: InvoiceBody, dates: { issuedOn: string; dueOn?: string }) {
  const { customer, currency, locale, notes } = body
  const issuedOn = body.issuedOn ?? dates.issuedOn
  const dueOn = body.dueOn ?? dates.dueOn ?? addDays(issuedOn, DAYS_TO_PAY)
  if (dueOn < issuedOn) {
    const message = `has to be the day on which it is issued (${issuedOn}) or a later one`
    throw invalidRequest([{ path: 'body.dueOn', message }])
  }
  const unpriced: UnpricedLines = body.lines.map(({ quantity, ...line }) => ({
    ...line,
    quantityMilli: quantity,
  }))
  const { lineNetsMinor, netMinor, taxMinor, grossMinor } = totalInvoice(unpriced)
  return {
    columns: {
      currency,
      locale,
      notes: notes ?? null,
      issuedOn: toDate(issuedOn),
      dueOn: toDate(dueOn),
      customerName: customer.name,
      customerAddress: customer.address,
      customerEmail: customer.email ?? null,
      customerTaxId: customer.taxId ?? null,
      netMinor,
      taxMinor,
      grossMinor,
    },
    lines: unpriced.map((line, index) => ({
      ...line,
      position: index + 1,
      netMinor: lineNetsMinor[index] ?? 0,
    })),
  }
}

function isUniqueViolation(error: unknown): boolean {
  return error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002'
}

function numberTaken(): Problem {
  return new Problem(409, { detail: 'There is an invoice with this number already' })
}

type UnpricedLines = readonly (Omit<InvoiceBody['lines'][number], 'quantity'> & {
  quantityMilli: number
})[]

/**
 * Adds up the lines.
 * @throws Problem 400 that names the amount which can't be counted exactly
 */
function totalInvoice(lines: UnpricedLines): InvoiceTotals {
  const totals = tryTotals(lines)
  if (totals) return totals
  const index = lines.findIndex((line) => !tryTotals([line]))
  throw invalidRequest([
    index === -1
      ? { path: 'body.lines', message: 'add up to more than can be counted exactly' }
      : {
          path: `body.lines.${index}.unitPriceMinor`,
          message: 'is, with its quantity and tax, more than can be counted exactly',
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
