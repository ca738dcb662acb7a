// Not quick: compiles dozens of invoices.
import { expect, test } from 'vitest'
import { createInvoiceCompiler } from '../../src/invoicePdf/createInvoiceCompiler.ts'
import type { InvoiceDocument } from '../../src/invoicePdf/invoiceDocument.ts'
import { glyphsOf, readPdf, textOf, unpackPdf } from './readPdf.ts'
import { arEg, deDe, enGb, heIl, jaJp, mixed, zhCn } from './sampleInvoices.ts'

const compile = createInvoiceCompiler()

test('what was put in can be read from the file', async () => {
  const text = await textOf(compile(enGb).pdf)
  const { seller, customer } = enGb
  const expected = [
    ...[seller.name, ...seller.address, seller.email, seller.taxId, ...seller.bankDetails!],
    ...[customer.name, ...customer.address, customer.email, customer.taxId],
    'Invoice 2026-000042',
    '5 March 2026',
    '4 April 2026',
    '12.5 95.00 20% 1,187.50',
    'Net total €2,034.90',
    '20% tax on €1,334.50 €266.90',
    '0% tax on €700.40 €0.00',
    'Total €2,301.80',
    'Please pay €2,301.80 by 4 April 2026, quoting invoice number 2026-000042.',
    'Thank you for your order.',
  ]
  expect(expected.filter((part) => !text.includes(part!))).toEqual([])
})

test.each([
  ['ar', arEg, ['شركة المثال للتجارة', 'استشارات تقنية', 'مؤسسة العميل التجريبية', '٣٢٬٩٦٧٫٥٠']],
  ['he', heIl, ['דוגמה מסחר בע״מ', 'רישיון תוכנה', 'לקוח לדוגמה ושות׳', '14,921.69']],
  ['ja', jaJp, ['株式会社サンプル商事', '技術コンサルティング', '髙橋 直樹 様', '￥208,054']],
  ['zh', zhCn, ['示例贸易有限公司', '技术咨询服务', '样本制造（深圳）有限公司', '¥26,900.64']],
])('names and amounts in %s can be read from the file', async (_, document, expected) => {
  const text = await textOf(compile(document).pdf)
  expect(expected.filter((part) => !text.includes(part))).toEqual([])
})

test('names in any script can be read from an English invoice', async () => {
  const text = await textOf(compile(mixed).pdf)
  const expected = [
    ...['山田 花子 (髙島屋サンプル)', '深圳样本有限公司', 'שירה כהן', 'شركة المثال'],
    ...['Straße des Übungsbeispiels 3, 10115 Köln', 'Łukasz Żółć, Ștefan Țîrlea', 'Дмитрий'],
  ]
  expect(expected.filter((part) => !text.includes(part))).toEqual([])
})

test('fonts are embedded, in part', () => {
  const { pdf } = compile(mixed)
  const { objects } = unpackPdf(pdf)
  const fonts = objects.match(/\/BaseFont \/\S+/g) ?? []
  expect(new Set(fonts.map((font) => font.replace(/.*\+/, '')))).toEqual(
    new Set([
      ...['NotoSans-Regular', 'NotoSans-Bold', 'NotoSansHebrew-Regular', 'Vazirmatn-Regular'],
      ...['NotoSansJP-Regular', 'NotoSansSC-Regular'],
    ]),
  )
  // Six letters before the name mark a subset of the font.
  expect(fonts.filter((font) => !/\/BaseFont \/[A-Z]{6}\+/.test(font))).toEqual([])
  expect(objects.match(/\/FontFile[23] /g)).toHaveLength(6)
  expect(pdf.length).toBeLessThan(150_000)
})

test('markup is printed as it stands', async () => {
  const markup = [
    '#let x = 1; #panic("no") #sys.inputs #include "x.typ"',
    '$x^2$ *bold* _italic_ `raw` = heading',
    '- item + item / term: <label> @reference',
    '<b>tag</b> &amp; \\ backslash \\u{41} \\alpha',
    '// comment /* comment */ [content] {code} ~ -- --- ... "quotes" \'quotes\'',
    '{number} {amount} %s ${x}',
  ]
  const document = {
    ...enGb,
    number: '#1*2$',
    customer: { name: '*Customer* #x', address: ['<addr> @home'] },
    lines: markup.map((description) => ({ ...enGb.lines[0]!, description })),
    notes: markup.join('\n'),
  }
  const text = (await textOf(compile(document).pdf)).replaceAll(/\s+/g, ' ')
  expect(text).toContain('Invoice #1*2$')
  expect(text).toContain('*Customer* #x')
  expect(text).toContain('<addr> @home')
  // Each appears twice, as a line and as a note.
  expect(markup.map((line) => text.split(line).length - 1)).toEqual(markup.map(() => 2))
})

test('a character that no font has is seen to be missing', async () => {
  const text = await textOf(compile(withDescription('a😀b 👩‍👩‍👧 한 \u{e000} \u0000 \ud800 x')).pdf)
  expect(text).toContain('a\u{fffd}b \u{fffd} \u{fffd} \u{fffd} \u{fffd} \u{fffd} x')
})

test('a word that is wider than its column is broken, and copied in one piece', async () => {
  const code = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'.repeat(4)
  const pages = await readPdf(compile(withDescription(`before ${code} after`)).pdf)
  const text = pages.map((page) => page.text).join('')
  expect(text.replaceAll(/[\r\n]/g, '')).toContain(code)
  expect(text).not.toContain(code)
  expect(text).not.toContain('\u200b')
})

test('a description longer than a page goes on on the next', async () => {
  const words = Array.from({ length: 2_000 }, (_, index) => `word${index}`)
  const { pdf, pages } = compile(withDescription(words.join(' ')))
  const text = (await textOf(pdf)).split(/\s+/)
  expect(pages).toBeGreaterThan(2)
  expect(words.filter((word) => !text.includes(word))).toEqual([])
})

test.each([
  ['JPY', 0, 'JP¥2,301', 'JP¥1,187'],
  ['EUR', 2, '€23.01', '€11.87'],
  ['KWD', 3, 'KWD 2.301', 'KWD 1.187'],
  ['HUF', 2, 'HUF 23.01', 'HUF 11.87'],
])('amounts in %s have its minor unit', async (currency, currencyDigits, gross, net) => {
  const amounts = { currency, currencyDigits, netMinor: 1_187, grossMinor: 2_301 }
  const text = await textOf(compile({ ...enGb, ...amounts }).pdf)
  expect(text).toContain(`Total ${gross}`)
  expect(text).toContain(`Net total ${net}`)
  expect(text).toContain(`Net (${currency})`)
})

test('amounts are exact as far as integers are', async () => {
  const grossMinor = Number.MAX_SAFE_INTEGER
  expect(await textOf(compile({ ...enGb, grossMinor }).pdf)).toContain('€90,071,992,547,409.91')
  expect(() => compile({ ...enGb, grossMinor: grossMinor + 1 })).toThrow(RangeError)
  expect(() => compile({ ...enGb, grossMinor: 0.5 })).toThrow(RangeError)
})

test('a credit note asks for no payment', async () => {
  const text = await textOf(compile({ ...enGb, grossMinor: -230_180 }).pdf)
  expect(text).toContain('Total -€2,301.80')
  expect(text).not.toContain('Please pay')
})

test.each(['ko-KR', 'th-TH', 'bn-BD', 'fa-IR', 'fr-FR', 'zh-TW', 'de', 'ar-KW', 'he', 'en-US'])(
  'an invoice for %s is printed',
  (locale) => {
    const { pdf, pages } = compile({ ...enGb, locale })
    expect(pages).toBe(1)
    expect(glyphsOf(pdf)).not.toContain(0)
  },
)

test('the same invoice gives the same bytes, whatever was set before', () => {
  const first = createInvoiceCompiler()(enGb).pdf
  compile(arEg)
  expect(Buffer.from(compile(enGb).pdf).equals(first)).toBe(true)
  expect(Buffer.from(compile({ ...enGb, number: '2026-000043' }).pdf).equals(first)).toBe(false)
})

test('the file says what it is: PDF/A-2a, tagged, its title, language and date', () => {
  const { objects, streams } = unpackPdf(compile({ ...deDe, lines: [] }).pdf)
  const metadata = streams.find((stream) => stream.includes('pdfaid:part')) ?? ''
  expect(metadata).toContain('<pdfaid:part>2</pdfaid:part>')
  expect(metadata).toContain('<pdfaid:conformance>A</pdfaid:conformance>')
  expect(metadata).toContain('Rechnung RE-2026-000043')
  expect(metadata).toContain('2026-03-05T00:00:00Z')
  expect(objects).toContain('/Lang (de-DE)')
  expect(objects).toContain('/Marked true')
  expect(objects).toContain('/S /TH')
  expect(objects).toContain('/S /H1')
})

function withDescription(description: string): InvoiceDocument {
  return { ...enGb, lines: [{ ...enGb.lines[0]!, description }] }
}
