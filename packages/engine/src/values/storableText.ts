import { stripVTControlCharacters } from 'node:util'

/**
 * Makes text that PostgreSQL can hold, within JSON too: NUL and lone surrogates become U+FFFD. It cuts longer text between
 * characters and adds `…`. It turns anything else into text, and never throws.
 */
export function storableText(foreign: unknown, maxLength = Infinity): string {
  const text = typeof foreign === 'string' ? foreign : toText(foreign)
  const cut = text.length > maxLength ? `${cutBetweenCharacters(text, maxLength)}…` : text
  return cut.toWellFormed().replaceAll('\0', '\ufffd')
}

/** The same for people to read, on several lines at most: nothing in it steers a terminal. NUL is left to storableText. */
export function readableText(foreign: unknown, maxLength = Infinity): string {
  return storableText(withoutControls(storableText(foreign)), maxLength)
}

/** The same on one line. */
export function readableLine(foreign: unknown, maxLength = Infinity): string {
  const line = withoutControls(storableText(foreign)).replaceAll(/\s+/g, ' ').trim()
  return storableText(line, maxLength)
}

/** What colours text goes; of other control characters a sign is left. NUL and line breaks stay. */
function withoutControls(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  if (!/[\u0001-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029]/.test(text)) return text
  return (
    stripVTControlCharacters(text)
      .replaceAll(/\r\n?|[\u2028\u2029]/g, '\n')
      // oxlint-disable-next-line no-control-regex -- these are what is looked for
      .replaceAll(/[\u0001-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd')
  )
}

/** Cuts to `maxLength` UTF-16 units or fewer, without half of a surrogate pair at the end. */
function cutBetweenCharacters(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text
  const isPair = (text.codePointAt(maxLength - 1) ?? 0) > 0xffff
  return text.slice(0, isPair ? maxLength - 1 : maxLength)
}

const MOST_DIGITS = 10n ** 300n

/** A number when that is exact, else its digits. Writing hundreds of digits takes long, and nobody reads them. */
export function storableBigint(value: bigint): number | string {
  const size = value < 0n ? -value : value
  if (size <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value)
  return size < MOST_DIGITS ? String(value) : '[bigint]'
}

function toText(foreign: unknown): string {
  if (typeof foreign === 'bigint') return String(storableBigint(foreign))
  if (typeof foreign === 'function') return '[function]'
  try {
    // String() would write out every item, however many there are.
    if (Array.isArray(foreign) || ArrayBuffer.isView(foreign)) return '[list]'
    return String(foreign)
  } catch {
    return '[unreadable]'
  }
}
