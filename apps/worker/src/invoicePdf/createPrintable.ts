import type { InvoiceFont } from './invoiceFonts.ts'
import { readCoverage, type Coverage } from './readCoverage.ts'

/** A foreign text that the fonts can write. */
export interface PrintableText {
  text: string
  /** Whether it runs from right to left. */
  rtl: boolean
  /** Whose glyphs Chinese characters get; absent where the document's language decides. */
  lang?: 'ja' | 'zh'
  /** The same text in parts, present if a word may be wider than a column. */
  parts?: { text: string; isLongWord: boolean }[]
}

export interface Printable {
  /** One line, whatever line breaks the text has. `context` is a text that belongs to it, as an address to a name. */
  line(text: string, context?: string): PrintableText
  /** As many lines as the text has. */
  lines(text: string, context?: string): PrintableText[]
  /** Whether every character can be written as it is. */
  canWrite(text: string): boolean
}

/** Stands for a character that no font has: U+FFFD, a question mark in a diamond. */
const REPLACEMENT = '\u{fffd}'

/** Texts that need no look-up: ASCII and Latin-1 without control characters. */
const PLAIN = /^[\x20-\x7e\xa0-\xac\xae-\xff]*$/

const LINE_BREAK = /\r\n|[\n\v\f\r\x85\u2028\u2029]/u

/**
 * Invisible characters that belong to a text: joiners, direction marks and isolates, variation selectors, places where
 * a word may break. Other invisible ones are left out, among them those that would turn the following text around.
 */
const INVISIBLE = /[\xad\u061c\u200b-\u200f\u2060\u2066-\u2069\p{Variation_Selector}]|\u034f/u
const SHOWS_NOTHING = /\p{Default_Ignorable_Code_Point}/gu

const FORBIDDEN = /[\p{Control}\p{Private_Use}]/u

/** 15 characters without a place to break the line: so many fit the narrowest column. */
const LONG_WORD =
  /[^\s\p{Ideographic}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303f\uff00-\uffef]{15,}/gu

const KANA = /[\p{Script=Hiragana}\p{Script=Katakana}]/u
const HAN = /\p{Script=Han}/u
const STRONG = /[\p{L}\u200e\u200f\u061c]/u
const RIGHT_TO_LEFT = /[\p{Script=Arabic}\p{Script=Hebrew}\u200f\u061c]/u

/** Makes functions that prepare foreign text for a document in `language`. */
export function createPrintable(fonts: InvoiceFont[], language: string): Printable {
  const coverages = fonts.map((font) => readCoverage(font.regular))
  const japanese = coverages[fonts.findIndex((font) => font.family === 'Noto Sans JP')]
  const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' })

  const write = (text: string): string => {
    if (PLAIN.test(text)) return text
    const wellFormed = text
      .toWellFormed()
      .replace(SHOWS_NOTHING, (character) => (INVISIBLE.test(character) ? character : ''))
    let written = ''
    for (const { segment } of segmenter.segment(wellFormed)) {
      written += isCovered(segment, coverages) ? segment : REPLACEMENT
    }
    return written
  }

  const describe = (raw: string, context: string): PrintableText => {
    const text = write(raw)
    const lang = languageOf(text, context, language, japanese)
    const parts = partsOf(text)
    return {
      text,
      rtl: isRightToLeft(text),
      ...(lang === undefined ? {} : { lang }),
      ...(parts.some((part) => part.isLongWord) ? { parts } : {}),
    }
  }

  return {
    line: (text, context = text) => describe(oneLine(text), context),
    lines: (text, context = text) =>
      text.split(LINE_BREAK).map((line) => describe(oneLine(line), context)),
    canWrite: (text) => write(text) === text,
  }
}

function oneLine(text: string): string {
  return text.split(LINE_BREAK).join(' ').replaceAll('\t', ' ').trim()
}

/** Whether one font has a letter and all its marks: two fonts could not place the marks. */
function isCovered(grapheme: string, coverages: Coverage[]): boolean {
  const codePoints = Array.from(grapheme).filter((character) => !INVISIBLE.test(character))
  // Some fonts have glyphs for these, but PDF/A forbids them.
  if (codePoints.some((character) => FORBIDDEN.test(character))) return false
  return coverages.some((covers) =>
    codePoints.every((character) => covers(character.codePointAt(0) ?? 0)),
  )
}

/**
 * Guesses a text's language. Kana are Japanese. Chinese characters alone count as the document's language if that has
 * them, else as Japanese, or as Chinese where the Japanese font lacks one, as it lacks those simplified in China.
 */
function languageOf(
  text: string,
  context: string,
  language: string,
  japanese: Coverage | undefined,
): 'ja' | 'zh' | undefined {
  if (!HAN.test(text) && !KANA.test(text)) return undefined
  if (KANA.test(context)) return 'ja'
  if (language === 'zh') return 'zh'
  const han = Array.from(context).filter((character) => HAN.test(character))
  return han.every((character) => japanese?.(character.codePointAt(0) ?? 0)) ? 'ja' : 'zh'
}

/**
 * Decides by the first strong letter, as HTML's dir=auto does. Figures alone, such as a telephone number, count as left
 * to right.
 */
function isRightToLeft(text: string): boolean {
  return RIGHT_TO_LEFT.test(STRONG.exec(text)?.[0] ?? '')
}

/** Cuts a text into long words and what stands between them. */
function partsOf(text: string): { text: string; isLongWord: boolean }[] {
  const parts: { text: string; isLongWord: boolean }[] = []
  let from = 0
  for (const match of text.matchAll(LONG_WORD)) {
    if (match.index > from) {
      parts.push({ text: text.slice(from, match.index), isLongWord: false })
    }
    parts.push({ text: match[0], isLongWord: true })
    from = match.index + match[0].length
  }
  if (from < text.length) parts.push({ text: text.slice(from), isLongWord: false })
  return parts
}
