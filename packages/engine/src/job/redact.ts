import { inspect } from 'node:util'
import { withoutControls } from './storableText.ts'

/** How much of a text is read; redacting cuts the rest off. */
export const MAX_READ = 8_192
// Shorter values (a locale, a digit) occur in ordinary words; taking them out would garble the text.
const MIN_SECRET_LENGTH = 4
/** Of a text with several lines, a line. What inspects a value writes each between quotes of its own. */
const MIN_LINE_LENGTH = 8
/** A stretch of a text. Shorter ones, such as the host of a URL, occur in what says why something failed. */
const MIN_STRETCH_LENGTH = 32
/** Lines and stretches are looked for in so much of a payload; whole texts in all of it. */
const MAX_STRETCHED = 32_768
/** Longer texts are not looked for as URLs write them. */
const MAX_IN_URL = 2_000
/** With more values in a payload, no text is searched for them: it is withheld whole. */
const MAX_VALUES = 200_000

const REDACTED = '[redacted]'
const WITHHELD = '[withheld: the payload is too large to be taken out of it]'

/**
 * The one rule for all that foreign code wrote and people see: messages, stacks, names, codes, causes, log lines. It takes
 * out credentials in URLs and headers, e-mail addresses, and every text of the payload: as it is, as JSON, util.inspect
 * and URLs write it, its lines, and stretches of it. It keeps the first MAX_READ characters, and no control characters
 * but line breaks.
 */
export type Redact = (text: string) => string

/** Time and memory are linear in the payload and, up to 8 kB, in the text. */
export function createRedact(payload: unknown): Redact {
  const secrets = secretsIn(payload)
  if (secrets === null) return () => WITHHELD
  const needles = needlesOf(secrets)
  return (text) => {
    const read = text.slice(0, MAX_READ)
    const isCut = read.length < text.length
    if (withoutControls(read) === read) return cover(read, secrets, isCut)
    // What steers a terminal may stand in the middle of a secret, or take the beginning of one with it.
    return cover(withoutControls(cover(read, wholeOf(secrets), isCut)), secrets, false)
  }

  function cover(read: string, wanted: Secrets, isCut: boolean): string {
    const covers = new Covers(read.length)
    coverCredentials(read, covers)
    const mayHold = isCut || needles === null || needles.some((needle) => read.includes(needle))
    if (mayHold && wanted.texts.size > 0) coverSecrets(read, wanted, isCut, covers)
    return covers.replace(read)
  }
}

interface Secrets {
  /** Found whole. */
  texts: Set<string>
  /** Their lines. */
  lines: Set<string>
  /** Those of which any long stretch is found. */
  stretched: string[]
}

const wholeOf = ({ texts }: Secrets): Secrets => ({ texts, lines: new Set(), stretched: [] })

const MAX_NEEDLES = 200

/**
 * Of a few short secrets, texts of which one has to be in whatever holds any of them; null of more. To look for these takes
 * a hundredth of what coverSecrets takes, and mostly none is there.
 */
function needlesOf({ texts, lines, stretched }: Secrets): string[] | null {
  const half = MIN_STRETCH_LENGTH / 2
  const pieces = stretched.reduce((sum, { length }) => sum + Math.ceil(length / half), 0)
  if (texts.size + lines.size + pieces > MAX_NEEDLES) return null
  const needles = [...texts, ...lines]
  // Wherever a stretch begins, the half of one that begins at a multiple is in it whole.
  for (const text of stretched)
    for (let at = 0; at + half <= text.length; at += half) needles.push(text.slice(at, at + half))
  return needles
}

/** The texts and numbers in a payload; null when there are too many values, or one cannot be read. */
function secretsIn(payload: unknown): Secrets | null {
  const secrets: Secrets = { texts: new Set(), lines: new Set(), stretched: [] }
  let left = MAX_STRETCHED
  const objects = new Set<object>()
  const open: unknown[] = [payload]
  let count = 0
  try {
    while (open.length > 0) {
      const value = open.pop()
      if (++count > MAX_VALUES) return null
      if (typeof value === 'object' && value !== null) {
        if (objects.has(value)) continue
        objects.add(value)
        const values = Object.values(value)
        if (values.length > MAX_VALUES) return null
        for (const inner of values) open.push(inner)
      } else if (typeof value === 'string' || typeof value === 'number') {
        const text = String(value)
        addText(secrets.texts, text)
        if (text.length > MIN_LINE_LENGTH && left > 0) addParts(secrets, text.slice(0, left))
        left -= text.length
      }
    }
  } catch {
    return null
  }
  return secrets
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

/** The parts of a text to take out; they may overlap. */
class Covers {
  readonly #changes: Int32Array
  constructor(length: number) {
    this.#changes = new Int32Array(length + 1)
  }
  add(from: number, to: number): void {
    if (from === to) return
    this.#changes[from] = (this.#changes[from] ?? 0) + 1
    this.#changes[to] = (this.#changes[to] ?? 0) - 1
  }
  /** Replaces each run of overlapping parts by one mark. */
  replace(text: string): string {
    let left = ''
    let depth = 0
    let from = 0
    for (let at = 0; at <= text.length; at++) {
      const before = depth
      depth += this.#changes[at] ?? 0
      if (before === 0 && depth > 0) left += text.slice(from, at) + REDACTED
      if (depth === 0 && before > 0) from = at
    }
    return depth > 0 ? left : left + text.slice(from)
  }
}

/** Each of these backtracks by a bounded number of characters only. */
const URL_CREDENTIALS = /(?<=\w:\/\/)[^\s/]+(?=@)/g
const HEADER_CREDENTIALS = /\b(?:Bearer|Basic)\s+(?=\S)/gi
const ADDRESS = /[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}/g

/** Covers credentials in URLs and headers, and e-mail addresses. */
function coverCredentials(text: string, covers: Covers): void {
  const inUrls = [...text.matchAll(URL_CREDENTIALS)].map(spanOf)
  for (const [from, to] of inUrls) covers.add(from, to)
  for (const match of text.matchAll(HEADER_CREDENTIALS)) {
    const [, from] = spanOf(match)
    const length = text.slice(from).search(/\s|$/)
    covers.add(from, from + length)
  }
  let next = 0
  for (const match of text.matchAll(ADDRESS)) {
    const [from, to] = spanOf(match)
    while (next < inUrls.length && (inUrls[next] as Span)[1] < from) next++
    // What follows the credentials in a URL is its host, not that of an e-mail address.
    const isInUrl = next < inUrls.length && (inUrls[next] as Span)[0] < to
    if (!isInUrl) covers.add(from, to)
  }
}

type Span = [from: number, to: number]

function spanOf(match: RegExpExecArray): Span {
  return [match.index, match.index + match[0].length]
}

/**
 * Finds secrets by the text's suffix automaton: it checks each secret in as many steps as that has characters, and then
 * marks all places of all secrets in as many steps as the text has.
 */
function coverSecrets(
  text: string,
  { texts, lines, stretched }: Secrets,
  isCut: boolean,
  covers: Covers,
): void {
  const { states, prefixes } = indexOf(text)
  // For each state, the length of the longest secret that ends where the state's texts end.
  const longest = new Uint32Array(states.length)
  const isLast = isCut ? endOf(states, prefixes) : null
  let longestAtCut = 0
  for (const secret of texts) markWhole(secret)
  for (const line of lines) markWhole(line)
  for (const secret of stretched) markStretches(states, secret, longest)
  if (longestAtCut >= MIN_SECRET_LENGTH) covers.add(text.length - longestAtCut, text.length)
  // Wherever the texts of a state end, those of the state that it links to end as well.
  const byLength = states.map((_, at) => at).toSorted((a, b) => lengthOf(a) - lengthOf(b))
  for (const at of byLength) {
    const { link } = states[at] as State
    if (link >= 0) longest[at] = Math.max(longest[at] ?? 0, longest[link] ?? 0)
  }
  for (const [at, prefix] of prefixes.entries()) {
    covers.add(at + 1 - (longest[prefix] ?? 0), at + 1)
  }

  function markWhole(secret: string): void {
    let state = 0
    let at = 0
    for (; at < secret.length; at++) {
      const next = (states[state] as State).next.get(secret.charCodeAt(at))
      if (next === undefined) break
      state = next
      // The rest of the secret may be in what was cut off.
      if (isLast?.has(state)) longestAtCut = Math.max(longestAtCut, at + 1)
    }
    if (at === secret.length) longest[state] = Math.max(longest[state] ?? 0, at)
  }

  function lengthOf(at: number): number {
    return (states[at] as State).length
  }
}

/** Goes through a secret, and marks wherever what it has just read of it is in the text, too. */
function markStretches(states: readonly State[], secret: string, longest: Uint32Array): void {
  let state = 0
  let length = 0
  for (let at = 0; at < secret.length; at++) {
    const code = secret.charCodeAt(at)
    while (state > 0 && !(states[state] as State).next.has(code)) {
      state = (states[state] as State).link
      length = (states[state] as State).length
    }
    const next = (states[state] as State).next.get(code)
    if (next === undefined) continue
    state = next
    length++
    if (length >= MIN_STRETCH_LENGTH) longest[state] = Math.max(longest[state] ?? 0, length)
  }
}

interface State {
  length: number
  link: number
  next: Map<number, number>
}

/** The suffix automaton of a text, and the state of each of its beginnings. */
function indexOf(text: string): { states: State[]; prefixes: number[] } {
  const states: State[] = [{ length: 0, link: -1, next: new Map() }]
  const prefixes: number[] = []
  let last = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    const added = states.push({ length: at + 1, link: 0, next: new Map() }) - 1
    let from = last
    for (; from >= 0 && !stateAt(from).next.has(code); from = stateAt(from).link) {
      stateAt(from).next.set(code, added)
    }
    if (from >= 0) stateAt(added).link = splitOff(from, code)
    prefixes.push(added)
    last = added
  }
  return { states, prefixes }

  /** The state to which `from` leads by `code`, of texts that are longer by that and no more. */
  function splitOff(from: number, code: number): number {
    const to = stateAt(from).next.get(code) as number
    const length = stateAt(from).length + 1
    if (stateAt(to).length === length) return to
    const { link, next } = stateAt(to)
    const copy = states.push({ length, link, next: new Map(next) }) - 1
    for (let at = from; at >= 0 && stateAt(at).next.get(code) === to; at = stateAt(at).link) {
      stateAt(at).next.set(code, copy)
    }
    stateAt(to).link = copy
    return copy
  }

  function stateAt(at: number): State {
    return states[at] as State
  }
}

/** The states whose texts end where the whole text ends. */
function endOf(states: readonly State[], prefixes: readonly number[]): Set<number> {
  const found = new Set<number>()
  for (let at = prefixes.at(-1) ?? 0; at > 0; at = (states[at] as State).link) found.add(at)
  return found
}
