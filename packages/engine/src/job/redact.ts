import { inspect } from 'node:util'
import type { WorkLabel } from './labelWork.ts'
import { withoutControls } from './storableText.ts'

/** How much of a text is read; redacting cuts the rest off. */
export const MAX_READ = 8_192
/** Shorter values (a locale, a digit) occur in ordinary words: without them the text would say nothing. */
const MIN_SECRET_LENGTH = 4
/** Minimum length of one line of a text of several lines; `util.inspect` quotes each line by itself. */
const MIN_LINE_LENGTH = 8
/** Minimum length of a part of a longer text. Shorter ones, such as the host of a URL, occur in reasons of failures. */
const MIN_STRETCH_LENGTH = 32
/** Wherever a stretch begins, a block of half its length, counted from the text's beginning, is in it whole. */
const BLOCK_LENGTH = MIN_STRETCH_LENGTH / 2
/** Lines and stretches are looked for in so many characters of a payload; whole texts in all of it. */
const MAX_STRETCHED = 32_768
/** Longer texts are not looked for as URLs write them. */
const MAX_IN_URL = 2_000
/** With more values in a payload, no text is searched for them: it is withheld whole. */
const MAX_VALUES = 10_000

export const REDACTED = '[redacted]'
const WITHHELD = '[withheld: the payload is too large to be taken out of it]'

/**
 * The one rule for all that foreign code wrote and people see: messages, stacks, names, codes, causes, log lines. It takes
 * out credentials in URLs and headers, e-mail addresses, and every text of the payload: as it is, as JSON, util.inspect
 * and URLs write it, its lines, and stretches of it. It keeps the first MAX_READ characters, and no control characters
 * but line breaks.
 */
export type Redact = (text: string) => string

/**
 * A call takes as long as the payload has values, and is bounded by MAX_VALUES searches of MAX_READ characters. What stands
 * in `told`, beside which people read the text, is no secret.
 */
export function createRedact(payload: unknown, told: WorkLabel = {}): Redact {
  const secrets = secretsIn(payload, told)
  if (secrets === null) return () => WITHHELD
  const { whole, lines, stretched } = secrets
  return (text) => {
    const read = text.slice(0, MAX_READ)
    const isCut = read.length < text.length
    const cover = (from: string, { parts }: { parts: boolean }) => {
      const covered = new Cover(from)
      coverCredentials(from, covered)
      coverWhole(whole, from, covered)
      if (isCut) coverBeginning(whole, from, covered)
      if (parts) {
        coverWhole(lines, from, covered)
        coverStretches(stretched, from, covered)
      }
      return covered.replace()
    }
    if (withoutControls(read) === read) return cover(read, { parts: true })
    // What steers a terminal may stand in the middle of a secret, or take the beginning of one with it.
    return cover(withoutControls(cover(read, { parts: false })), { parts: true })
  }
}

interface Secrets {
  whole: Set<string>
  lines: Set<string>
  /** Those of which any long stretch is found. */
  stretched: string[]
}

/** The texts and numbers in a payload; null when there are too many values, or one cannot be read. */
function secretsIn(payload: unknown, told: WorkLabel): Secrets | null {
  const secrets: Secrets = { whole: new Set(), lines: new Set(), stretched: [] }
  let left = MAX_STRETCHED
  const objects = new Set<object>()
  const open: unknown[] = [payload]
  let count = 0
  try {
    while (open.length > 0) {
      const value = open.pop()
      if (++count + open.length > MAX_VALUES) return null
      if (typeof value === 'object' && value !== null) {
        if (objects.has(value)) continue
        objects.add(value)
        for (const inner of Object.values(value)) open.push(inner)
      } else if (typeof value === 'string' || typeof value === 'number') {
        const text = String(value)
        if (isTold(told, text)) continue
        addText(secrets.whole, text)
        if (text.length > MIN_LINE_LENGTH && left > 0) addParts(secrets, text.slice(0, left))
        left -= text.length
      }
    }
  } catch {
    return null
  }
  return secrets
}

/** Whether the job shows a text, or it is whole words of the label. */
function isTold({ label = '', shown = {} }: WorkLabel, text: string): boolean {
  if (Object.values(shown).some((part) => String(part) === text)) return true
  const at = label.indexOf(text)
  const around = [label.charAt(at - 1), label.charAt(at + text.length)]
  return at >= 0 && around.every((one) => !/[\p{L}\p{N}]/u.test(one))
}

function addText(texts: Set<string>, text: string): void {
  if (text.length < MIN_SECRET_LENGTH) return
  texts.add(text)
  addQuoted(texts, text)
  // describeError reads messages from their last paragraph on, which may begin within this text.
  const paragraph = text.slice(text.lastIndexOf('\n\n') + 1).trimStart()
  if (paragraph !== text && paragraph.length >= MIN_SECRET_LENGTH) texts.add(paragraph)
}

// oxlint-disable-next-line no-control-regex -- as quoting escapes them
const IS_QUOTED_OTHERWISE = /["'\\\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]/
const UNQUOTED = { maxStringLength: null, breakLength: Infinity } as const

/** As libraries write it that quote a call with its arguments, or its URL. */
function addQuoted(texts: Set<string>, text: string): void {
  if (IS_QUOTED_OTHERWISE.test(text)) {
    texts.add(JSON.stringify(text).slice(1, -1))
    texts.add(inspect(text, UNQUOTED).slice(1, -1))
    texts.add(withoutControls(text))
  }
  if (text.length > MAX_IN_URL || /^[\w.~-]*$/.test(text)) return
  const inUrl = encodeURIComponent(text.toWellFormed())
  texts.add(inUrl)
  texts.add(inUrl.replaceAll('%20', '+'))
}

function addParts({ lines, stretched }: Secrets, text: string): void {
  if (text.length > MIN_STRETCH_LENGTH) stretched.push(text)
  if (!text.includes('\n')) return
  for (const line of text.split('\n')) {
    if (line.trim().length < MIN_LINE_LENGTH) continue
    lines.add(line.trim())
    addQuoted(lines, line.trim())
  }
}

/** Marks the characters of a text that are taken out. */
class Cover {
  readonly #marks: Uint8Array
  readonly #text: string
  constructor(text: string) {
    this.#text = text
    this.#marks = new Uint8Array(text.length)
  }
  add(from: number, to: number): void {
    this.#marks.fill(1, from, to)
  }
  /** Where the covered characters end among which this one is. */
  endAt(at: number): number {
    const end = this.#marks.indexOf(0, at)
    return end < 0 ? this.#marks.length : end
  }
  /** Replaces each run of covered characters by one mark. */
  replace(): string {
    let told = ''
    for (let at = 0; at < this.#text.length;) {
      const from = this.#marks.indexOf(1, at)
      if (from < 0) return told + this.#text.slice(at)
      told += this.#text.slice(at, from) + REDACTED
      at = this.endAt(from)
    }
    return told
  }
}

function coverWhole(secrets: Iterable<string>, text: string, cover: Cover): void {
  for (const secret of secrets) {
    for (let at = text.indexOf(secret); at >= 0;) {
      cover.add(at, at + secret.length)
      // What ends among covered characters covers none anew.
      at = text.indexOf(secret, cover.endAt(at) - secret.length + 1)
    }
  }
}

/** Looks for each block of a secret, and for what of the secret is around it. */
function coverStretches(secrets: readonly string[], text: string, cover: Cover): void {
  for (const secret of secrets) {
    const own = new Cover(text)
    for (let block = 0; block + BLOCK_LENGTH <= secret.length; block += BLOCK_LENGTH) {
      const wanted = secret.slice(block, block + BLOCK_LENGTH)
      for (let at = text.indexOf(wanted); at >= 0;) {
        if (own.endAt(at) < at + BLOCK_LENGTH) {
          const [from, to] = commonAround(text, at, secret, block)
          if (to - from >= MIN_STRETCH_LENGTH) {
            own.add(from, to)
            cover.add(from, to)
          }
        }
        at = text.indexOf(wanted, Math.max(at, own.endAt(at) - BLOCK_LENGTH) + 1)
      }
    }
  }
}

/** The part of a text around a place which is that of the secret around another one. */
function commonAround(text: string, at: number, secret: string, block: number): Span {
  const shift = block - at
  let [from, to] = [at, at]
  while (from > 0 && text.charCodeAt(from - 1) === secret.charCodeAt(from - 1 + shift)) from--
  while (to < text.length && text.charCodeAt(to) === secret.charCodeAt(to + shift)) to++
  return [from, to]
}

/** Covers the beginning of a secret at the end of a text that was cut: the rest of it may be in what was cut off. */
function coverBeginning(secrets: Iterable<string>, text: string, cover: Cover): void {
  const end = text.slice(-MIN_STRETCH_LENGTH)
  for (const secret of secrets) {
    for (let length = Math.min(secret.length, end.length); length >= MIN_SECRET_LENGTH; length--)
      if (end.endsWith(secret.slice(0, length))) cover.add(text.length - length, text.length)
  }
}

/** Each of these backtracks by a bounded number of characters only. */
const URL_CREDENTIALS = /(?<=\w:\/\/)[^\s/]+(?=@)/g
const HEADER_CREDENTIALS = /\b(?:Bearer|Basic)\s+(?=\S)/gi
const ADDRESS = /[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}/g

/** Covers credentials in URLs and headers, and e-mail addresses. */
function coverCredentials(text: string, cover: Cover): void {
  const inUrls = [...text.matchAll(URL_CREDENTIALS)].map(spanOf)
  for (const [from, to] of inUrls) cover.add(from, to)
  for (const match of text.matchAll(HEADER_CREDENTIALS)) {
    const [, from] = spanOf(match)
    const length = text.slice(from).search(/\s|$/)
    cover.add(from, from + length)
  }
  let next = 0
  for (const match of text.matchAll(ADDRESS)) {
    const [from, to] = spanOf(match)
    while (next < inUrls.length && (inUrls[next] as Span)[1] < from) next++
    // What follows the credentials in a URL is its host, not that of an e-mail address.
    const isInUrl = next < inUrls.length && (inUrls[next] as Span)[0] < to
    if (!isInUrl) cover.add(from, to)
  }
}

type Span = [from: number, to: number]

function spanOf(match: RegExpExecArray): Span {
  return [match.index, match.index + match[0].length]
}
