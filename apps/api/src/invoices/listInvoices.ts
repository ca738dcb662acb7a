import { formatCursor, type PageCursor } from '@roundsman/admin/http'
import type { JobsClient } from '@roundsman/engine/client'
import { Prisma, type PrismaClient } from '@roundsman/db'
import type { z } from 'zod'
import { readTogether } from '../http/transact.ts'
import { presentHead, type InvoiceHead, type invoiceItemSchema } from './findInvoice.ts'
import { findPdfStates } from './invoicePdf.ts'

export interface ListInvoicesOptions {
  /** Returns at most so many; positive. */
  limit: number
  /** Returns only invoices that are older than this one. */
  cursor?: PageCursor | undefined
}

export interface InvoicePage {
  invoices: z.output<typeof invoiceItemSchema>[]
  /** The cursor of the next page, opaque to clients. Null on the last page. */
  nextCursor: string | null
}

type Row = InvoiceHead & { customerName: string }

/** Lists invoices, newest first. A page begins after an invoice, not at a count, so that new ones shift nothing. */
export async function listInvoices(
  prisma: PrismaClient,
  jobsClient: JobsClient,
  options: ListInvoicesOptions,
): Promise<InvoicePage> {
  return await readTogether(prisma, async (tx) => {
    // One row more than asked for shows whether there is a next page.
    const rows = await tx.$queryRaw<Row[]>(invoicesQuery(options))
    const page = rows.slice(0, options.limit)
    const versions = page.map(({ id, version }) => ({ invoiceId: id, version }))
    const states = await findPdfStates(tx, jobsClient, versions)
    const last = rows.length > page.length ? page.at(-1) : undefined
    return {
      invoices: page.map((row) => ({
        ...presentHead(row, states.get(row.id) ?? { kind: 'none' }),
        customerName: row.customerName,
      })),
      nextCursor: last ? formatCursor({ at: last.createdAt.toISOString(), id: last.id }) : null,
    }
  })
}

/** The first statement of listInvoices. */
function invoicesQuery({ limit, cursor }: ListInvoicesOptions): Prisma.Sql {
  // Only a row comparison lets the index begin at the cursor.
  const where = cursor
    ? Prisma.sql`where ("createdAt", "id") < (${cursor.at}::timestamptz, ${cursor.id}::uuid)`
    : Prisma.empty
  return Prisma.sql`
    select "id", "number", "version", "customerName", "currency", "grossMinor", "issuedOn", "dueOn", "createdAt"
    from "Invoice" ${where}
    order by "createdAt" desc, "id" desc
    limit ${limit + 1}`
}
