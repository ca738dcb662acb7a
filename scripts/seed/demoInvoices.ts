import type { InvoiceBody } from '../../apps/api/src/invoices/invoiceBody.ts'

const DAY_MS = 86_400_000

export interface DemoInvoice {
  invoice: InvoiceBody
  createdAt: Date
}

/** Invoices in languages and currencies that differ on the page: digits, direction, no minor unit. */
export function demoInvoices(now: Date): DemoInvoice[] {
  return INVOICES.map((invoice, index) => ({
    invoice,
    createdAt: new Date(now.getTime() - (INVOICES.length - index) * DAY_MS),
  }))
}

const INVOICES: InvoiceBody[] = [
  {
    customer: {
      name: 'Example Ltd',
      address: ['1 Example Street', 'EX1 1EX Example Town'],
      email: 'accounts@example.com',
    },
    currency: 'EUR',
    locale: 'en-GB',
    notes: 'Thank you for your order.',
    lines: [
      line('Consulting', 7.5, 12_000, 2_000),
      line('Spring catalogue, printed', 250, 349, 0),
      line('Discount', 1, -5_000, 2_000),
    ],
  },
  {
    customer: {
      name: 'Beispiel GmbH',
      address: ['Beispielstraße 1', '12345 Beispielstadt'],
      email: 'rechnung@example.com',
      taxId: 'DE000000000',
    },
    currency: 'EUR',
    locale: 'de-DE',
    notes: 'Zahlbar ohne Abzug.',
    lines: [
      line('Beratung, Stunden', 12.25, 9_500, 1_900),
      line('Fachbuch „Größen und Maße“', 3, 2_990, 700),
    ],
  },
  {
    customer: {
      name: '例株式会社',
      address: ['〒000-0000', '東京都例区例町1-1'],
      email: 'seikyu@example.com',
    },
    currency: 'JPY',
    locale: 'ja-JP',
    lines: [line('デザイン業務', 1, 180_000, 1_000), line('茶葉', 12, 1_250, 800)],
  },
  {
    customer: {
      name: 'شركة المثال',
      address: ['شارع المثال 1', 'القاهرة'],
      email: 'invoices@example.com',
    },
    currency: 'EGP',
    locale: 'ar-EG',
    notes: 'شكرًا لتعاملكم معنا.',
    lines: [line('خدمات استشارية', 4, 150_000, 1_400), line('ورق A4', 20, 21_050, 1_400)],
  },
]

function line(
  description: string,
  units: number,
  unitPriceMinor: number,
  taxRateBasisPoints: number,
): InvoiceBody['lines'][number] {
  const quantity = units * 1_000
  return { description, quantity, unitPriceMinor, taxRateBasisPoints }
}
