import { formatCursor, type PageCursor } from '@roundsman/fastify/http'
import type { JobsClient } from '@roundsman/engine/client'
import { Prisma, type PrismaClient } from '@roundsman/db'
import type { z } from 'zod'
import { readTogether } from '../http/transact.ts'
import { presentHead, type InvoiceHead, type invoiceItemSchema } from './findInvoice.ts'
import { findPdfStates } from './invoicePdf.ts'

export interface ListInvoicesOptions {
  /** Invoices at most; positive. */
  limit: number
  /** Only invoices that come after this one, that is older ones. */
  cursor?: PageCursor | undefined
}

export interface InvoicePage {
  invoices: z.output<typeof invoiceItemSchema>[]
  /** For the next page; opaque. Null when there is nothing more. */
  nextCursor: string | null
}

type Row = InvoiceHead & { customerName: string }

/** Invoices, newest first. Pages are cut at an invoice, not at a count. */
export async function listInvoices(
  prisma: PrismaClient,
  jobsClient: JobsClient,
  options: ListInvoicesOptions,
): Promise<InvoicePage> {
  return await readTogether(prisma, async (tx) => {
    // One row more than asked for tells whether there is a next page.
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

/** What `listInvoices` sends first; apart, so that its plan can be looked at. */
export function invoicesQuery({ limit, cursor }: ListInvoicesOptions): Prisma.Sql {
  // A row comparison is what lets the index begin at the cursor.
  const where = cursor
    ? Prisma.sql`where ("createdAt", "id") < (${cursor.at}::timestamptz, ${cursor.id}::uuid)`
    : Prisma.empty
  return Prisma.sql`
    select "id", "number", "version", "customerName", "currency", "grossMinor", "issuedOn", "dueOn", "createdAt"
    from "Invoice" ${where}
    order by "createdAt" desc, "id" desc
    limit ${limit + 1}`
}
