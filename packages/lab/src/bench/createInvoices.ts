import type { PrismaClient } from '@roundsman/db'

/** Invoices of one line, of which no PDF was asked for. */
export async function createInvoices(prisma: PrismaClient, count: number): Promise<void> {
  await prisma.$executeRaw`
    with invoice as (
      insert into "Invoice" ("id", "number", "locale", "currency", "issuedOn", "dueOn", "customerName",
                             "customerAddress", "netMinor", "taxMinor", "grossMinor")
      select gen_random_uuid(), 'bench-' || n, 'en-GB', 'EUR', '2026-01-01', '2026-01-15', 'Example Company',
             '{"1 Example Street"}', 10000, 1900, 11900
      from generate_series(1, ${count}::int) n returning "id"
    )
    insert into "InvoiceLine" ("id", "invoiceId", "position", "description", "quantityMilli", "unitPriceMinor",
                               "taxRateBasisPoints", "netMinor")
    select gen_random_uuid(), "id", 1, 'Work', 1000, 10000, 1900, 10000 from invoice`
}
