import { createHash, randomUUID } from 'node:crypto'
import type { PrismaClient } from '@roundsman/db'

export interface InsertedEmail {
  id: string
  recipient: string
  messageId: string
  /** Texts that no log may contain. */
  secrets: string[]
  pdf: Buffer
  invoiceId: string
}

export interface InsertEmailsOptions {
  /** Whether the PDF is stored already. Default true. */
  isRendered?: boolean
  recipient?: string
  number?: string
  locale?: string
  customerName?: string
}

/** Inserts messages with their invoices and PDFs; no two share any text. */
export async function insertEmails(
  prisma: PrismaClient,
  count: number,
  options: InsertEmailsOptions = {},
): Promise<InsertedEmail[]> {
  const made = Array.from({ length: count }, () => makeEmail(options))
  await prisma.invoice.createMany({ data: made.map(({ invoice }) => invoice) })
  await prisma.invoicePdf.createMany({ data: made.map(({ pdf }) => pdf) })
  await prisma.emailMessage.createMany({ data: made.map(({ message }) => message) })
  return made.map(({ inserted }) => inserted)
}

export async function insertEmail(
  prisma: PrismaClient,
  options: InsertEmailsOptions = {},
): Promise<InsertedEmail> {
  const [inserted] = await insertEmails(prisma, 1, options)
  return inserted!
}

function makeEmail(options: InsertEmailsOptions) {
  const [id, invoiceId] = [randomUUID(), randomUUID()]
  const token = randomUUID().slice(0, 8)
  const {
    isRendered = true,
    recipient = `buyer-${token}@example.com`,
    number = `INV-${token}`,
    locale = 'en',
    customerName = `Buyer ${token} & Søns`,
  } = options
  const grossMinor = 100_000_000n + BigInt(Number.parseInt(token, 16) % 100_000_000)
  const pdf = makePdf(token)
  const messageId = `<${randomUUID()}@roundsman.localhost>`
  const amount = new Intl.NumberFormat('en').format(Number(grossMinor / 100n))
  const secrets = [token, recipient, number, customerName, amount, String(grossMinor)]
  return {
    invoice: {
      id: invoiceId,
      number,
      locale,
      currency: 'EUR',
      issuedOn: new Date('2026-11-01'),
      dueOn: new Date('2026-11-15'),
      customerName,
      customerAddress: [`${token} Market Street`],
      customerEmail: recipient,
      netMinor: grossMinor,
      taxMinor: 0n,
      grossMinor,
    },
    pdf: {
      invoiceId,
      version: 1,
      workId: randomUUID(),
      ...(isRendered && { pdf: Uint8Array.from(pdf), pages: 1, renderedAt: new Date() }),
    },
    message: { id, kind: 'invoice', recipient, invoiceId, version: 1, messageId } as const,
    inserted: { id, recipient, messageId, secrets, pdf, invoiceId },
  }
}

/** Holds every byte, and lines of dots and CRs, which a transport might change. */
function makePdf(token: string): Buffer {
  const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
  const noise = createHash('sha512').update(token).digest()
  const lines = Buffer.from('\r\n.\r\n..\n\r.\r\nFrom here\n')
  return Buffer.concat([Buffer.from('%PDF-1.7\n'), every, lines, ...Array(40).fill(noise), lines])
}
