import { readableText } from './storableText.ts'

/** Maximum length that is read; masking cuts the rest off. */
export const MAX_READ = 8_192

export const MASKED = '[redacted]'
const WITHHELD = '[withheld: the job’s redact function failed]'

/** Masks a text that foreign code wrote, before it is stored. It never throws. */
export type Mask = (text: string) => string

/** Each of these backtracks only over a bounded number of characters. */
const PATTERNS = [
  // The account of a URL. A password may contain an unencoded slash or @; after a port comes the path.
  /(?<=\w:\/\/)(?:[^\s/:"'<>]{0,128}:(?!\d{1,5}\/)[^\s"'<>]{1,256}|[^\s/"'<>]{1,256})(?=@)/g,
  /(?<=\b(?:Bearer|Basic)\s{1,9})\S+/gi,
  /(?<=\b(?:authorization|cookie|api[-_]?key|(?:auth|access|csrf|session)-token)["']?\s{0,3}:\s{0,3})\S[^\r\n]*/gi,
  // Connection strings and the queries of URLs.
  /(?<=(?:password|passwd|pwd|passphrase|secret|token|api[-_]?key|access[-_]?key)["']?\s{0,3}=\s{0,3})(?:"[^"]*"?|'[^']*'?|[^\s;&,)]+)/gi,
  // E-mail addresses, also as URLs write them.
  /[\p{L}\p{N}_.+-]{1,64}(?:@|%40)(?:[\p{L}\p{N}-]{1,63}\.){1,8}\p{L}[\p{L}\p{N}-]{1,62}/giu,
]

/** A credential or an address is rarely longer. */
const MAX_WORD = 256

/**
 * Masks credentials in URLs, headers and connection strings, and e-mail addresses. It keeps the first MAX_READ characters, and
 * line breaks as the only control characters.
 */
export function maskText(text: string): string {
  let read = readableText(text.slice(0, MAX_READ))
  // A pattern cannot recognise a word whose end was cut off.
  const word = Math.max(read.lastIndexOf(' '), read.lastIndexOf('\n')) + 1
  if (text.length > MAX_READ && read.length - word <= MAX_WORD) read = read.slice(0, word)
  return PATTERNS.reduce((masked, pattern) => masked.replaceAll(pattern, MASKED), read)
}

/** Masks with the patterns, then with the job's own function. If that fails, the whole text is dropped. */
export function createMask(redact: ((text: string) => string) | null | undefined): Mask {
  if (typeof redact !== 'function') return maskText
  return (text) => {
    try {
      const masked: unknown = redact(maskText(text))
      if (typeof masked === 'string') return readableText(masked.slice(0, MAX_READ))
      // The rejection of an asynchronous function has no other handler.
      Promise.resolve(masked).catch(() => undefined)
    } catch {
      // Withheld below.
    }
    return WITHHELD
  }
}
