import { expect, test } from 'vitest'
import { createPrintable } from '../../src/invoicePdf/createPrintable.ts'
import { invoiceFonts } from '../../src/invoicePdf/invoiceFonts.ts'
import { readCoverage } from '../../src/invoicePdf/readCoverage.ts'

const fonts = invoiceFonts()
const printable = createPrintable(fonts, 'en')

test.each([
  ['letters with marks of their own', 'e\u{301} q\u{323}\u{301} שָׁלוֹם مُحَمَّد', undefined],
  ['joiners and variation selectors', 'می\u{200c}خواهم 葛\u{e0100}城', undefined],
  ['an emoji of several parts', '👩‍👩‍👧!', '\u{fffd}!'],
  ['a mark of another font than its letter', 'ب\u{5b8}', '\u{fffd}'],
  ['half a pair', 'a\ud83d b', 'a\u{fffd} b'],
  ['control characters', 'a\u0000b\u0007', 'a\u{fffd}b\u{fffd}'],
  ['a private character', '\u{e000}', '\u{fffd}'],
  ['what would turn the text around', 'a\u{202e}b\u{feff}', 'ab'],
])('%s', (_, text, expected) => {
  expect(printable.line(text).text).toBe(expected ?? text)
})

test.each([
  ['Example', false],
  ['דוגמה 12', true],
  ['شركة ABC', true],
  ['ABC شركة', false],
  ['12 רחוב', true],
  ['+20 2 1234 5678', false],
])('%s begins at the side of its first letter', (text, rtl) => {
  expect(printable.line(text).rtl).toBe(rtl)
})

test.each([
  ['en', '株式会社', '株式会社\n港区のビル', 'ja'],
  ['en', '贸易', '贸易', 'zh'],
  ['en', '样本 東京', '样本 東京', 'zh'],
  ['zh', '東京', '東京', 'zh'],
  ['zh', 'サンプル', 'サンプル', 'ja'],
  ['ja', '深圳样本', '深圳样本', 'zh'],
  ['en', 'Example', '株式会社', undefined],
])('in %s, %s of %s is in %s', (language, text, context, lang) => {
  expect(createPrintable(fonts, language).line(text, context).lang).toBe(lang)
})

test('lines stay lines, or become one', () => {
  expect(printable.lines('a\r\nb\n\nc\u{2028}d').map(({ text }) => text)).toEqual([
    ...['a', 'b', '', 'c', 'd'],
  ])
  expect(printable.line('a\nb\tc').text).toBe('a b c')
})

test('words that may be too long are told apart, those in scripts without spaces are not', () => {
  const code = 'X'.repeat(15)
  expect(printable.line(`a ${code} b`).parts).toEqual([
    { text: 'a ', isLongWord: false },
    { text: code, isLongWord: true },
    { text: ' b', isLongWord: false },
  ])
  expect(printable.line('東京都千代田区千代田一丁目一番一号サンプル').parts).toBeUndefined()
  expect(printable.line(`${'X'.repeat(14)} ${'Y'.repeat(14)}`).parts).toBeUndefined()
})

test.each(fonts)('both weights of $family have the same characters', ({ regular, bold }) => {
  const [inRegular, inBold] = [readCoverage(regular), readCoverage(bold)]
  const differing: number[] = []
  for (let codePoint = 0; codePoint <= 0x10ffff; codePoint += 1) {
    if (inRegular(codePoint) !== inBold(codePoint)) differing.push(codePoint)
  }
  expect(differing).toEqual([])
})
