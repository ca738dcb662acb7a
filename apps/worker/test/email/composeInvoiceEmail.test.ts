import { describe, expect, it } from 'vitest'
import {
  composeInvoiceEmail,
  type InvoiceEmailSource,
} from '../../src/email/composeInvoiceEmail.ts'

const source: InvoiceEmailSource = {
  number: 'INV-2026-0042',
  locale: 'en-US',
  currency: 'EUR',
  grossMinor: 123_456n,
  dueOn: new Date('2026-12-31'),
  customerName: 'Sample Customer',
  pdf: new Uint8Array([1, 2, 3]),
}

const compose = (changes: Partial<InvoiceEmailSource>) =>
  composeInvoiceEmail({ ...source, ...changes })

/** Removes direction marks, and turns special spaces into plain ones. */
const plain = (text: string) =>
  text.replaceAll(/[\u200e\u200f\u061c\u2068\u2069]/g, '').replaceAll(/[\u00a0\u202f]/g, ' ')

describe('the language', () => {
  it.each([
    {
      locale: 'en-US',
      subject: 'Invoice INV-2026-0042',
      amount: '€1,234.56',
      due: 'December 31, 2026',
    },
    {
      locale: 'en-GB',
      subject: 'Invoice INV-2026-0042',
      amount: '€1,234.56',
      due: '31 December 2026',
    },
    {
      locale: 'de-DE',
      subject: 'Rechnung INV-2026-0042',
      amount: '1.234,56 €',
      due: '31. Dezember 2026',
    },
    {
      locale: 'ar-EG',
      subject: 'فاتورة INV-2026-0042',
      amount: '١٬٢٣٤٫٥٦ €',
      due: '٣١ ديسمبر ٢٠٢٦',
    },
    {
      locale: 'ar-SA',
      subject: 'فاتورة INV-2026-0042',
      amount: '١٬٢٣٤٫٥٦ €',
      due: '٣١ ديسمبر ٢٠٢٦',
    },
    {
      locale: 'he-IL',
      subject: 'חשבונית INV-2026-0042',
      amount: '1,234.56 €',
      due: '31 בדצמבר 2026',
    },
    {
      locale: 'ja-JP',
      subject: '請求書 INV-2026-0042',
      amount: '€1,234.56',
      due: '2026年12月31日',
    },
    { locale: 'zh-CN', subject: '发票 INV-2026-0042', amount: '€1,234.56', due: '2026年12月31日' },
    {
      locale: 'zh-TW',
      subject: 'Invoice INV-2026-0042',
      amount: '€1,234.56',
      due: '2026年12月31日',
    },
    {
      locale: 'fr-FR',
      subject: 'Invoice INV-2026-0042',
      amount: '1 234,56 €',
      due: '31 décembre 2026',
    },
    {
      locale: 'no tag',
      subject: 'Invoice INV-2026-0042',
      amount: '€1,234.56',
      due: 'December 31, 2026',
    },
  ])('of $locale', ({ locale, subject, amount, due }) => {
    const email = compose({ locale })

    expect(email.subject).toBe(subject)
    for (const body of [email.text, email.html]) {
      expect(plain(body)).toContain(amount)
      expect(plain(body)).toContain(due)
      expect(body).toContain('INV-2026-0042')
      expect(body).toContain('Sample Customer')
    }
  })

  it.each([
    ['ar', 'rtl'],
    ['he', 'rtl'],
    ['en', 'ltr'],
    ['ja', 'ltr'],
  ])('%s runs %s, and foreign words in it stand for themselves', (locale, direction) => {
    const { html, text } = compose({ locale })

    expect(html).toContain(`<html lang="${locale}" dir="${direction}">`)
    expect(html).toContain('<bdi>INV-2026-0042</bdi>')
    expect(text.includes('\u2068INV-2026-0042\u2069')).toBe(direction === 'rtl')
  })
})

describe('the amount', () => {
  it.each([
    { currency: 'JPY', grossMinor: 123_456n, shown: '¥123,456' },
    { currency: 'KWD', grossMinor: 123_456n, shown: 'KWD 123.456' },
    { currency: 'HUF', grossMinor: 123_456n, shown: 'HUF 1,234.56' },
    { currency: 'EUR', grossMinor: 5n, shown: '€0.05' },
    { currency: 'EUR', grossMinor: -250n, shown: '-€2.50' },
    { currency: 'EUR', grossMinor: 9_007_199_254_740_991n, shown: '€90,071,992,547,409.91' },
  ])('$grossMinor of $currency is $shown', ({ currency, grossMinor, shown }) => {
    expect(plain(compose({ currency, grossMinor }).text)).toContain(`Amount due: ${shown}\n`)
  })
})

describe('what strangers have typed', () => {
  const evil = `<script>alert("1")</script> & 'Co'`

  it('is text in the HTML, wherever it stands', () => {
    const { html } = compose({ customerName: evil, number: evil })

    expect(html).not.toContain('<script')
    expect(html).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;Co&#39;')
    expect(html).toContain('<title>Invoice &lt;script&gt;')
  })

  it('begins no line of its own', () => {
    const split = 'One\r\nBcc: somebody@example.com\u2028Two\u0000'
    const { subject, text, attachments } = compose({ customerName: split, number: split })

    expect(subject).toBe('Invoice One Bcc: somebody@example.com Two')
    expect(text).toContain('Dear One Bcc: somebody@example.com Two,\n')
    expect(attachments[0]?.filename).toBe('One Bcc- somebody@example.com Two.pdf')
  })

  it('names no other folder', () => {
    expect(compose({ number: '../2026/7\\8' }).attachments[0]?.filename).toBe('..-2026-7-8.pdf')
  })
})

it('the attachment is the PDF', () => {
  expect(compose({}).attachments).toEqual([
    {
      filename: 'INV-2026-0042.pdf',
      contentType: 'application/pdf',
      content: Buffer.from([1, 2, 3]),
    },
  ])
})
