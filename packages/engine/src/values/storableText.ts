import { stripVTControlCharacters } from 'node:util'

/**
 * Returns a text that PostgreSQL can store, within JSON too: NUL and lone surrogates become U+FFFD. It cuts longer text between
 * characters and adds `…`. It converts any other value to text, and never throws.
 */
export function storableText(foreign: unknown, maxLength = Infinity): string {
  const text = typeof foreign === 'string' ? foreign : toText(foreign)
  const cut = text.length > maxLength ? `${cutBetweenCharacters(text, maxLength)}…` : text
  return cut.toWellFormed().replaceAll('\0', '\ufffd')
}

/** The same for people to read, on several lines at most, and without terminal control sequences. storableText handles NUL. */
export function readableText(foreign: unknown, maxLength = Infinity): string {
  return storableText(withoutControls(storableText(foreign)), maxLength)
}

/** The same on one line. */
export function readableLine(foreign: unknown, maxLength = Infinity): string {
  const line = withoutControls(storableText(foreign)).replaceAll(/\s+/g, ' ').trim()
  return storableText(line, maxLength)
}

/** Removes colour codes, and replaces other control characters by a sign. NUL and line breaks stay. */
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

/** Cuts to at most `maxLength` UTF-16 units, without half of a surrogate pair at the end. */
function cutBetweenCharacters(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text
  const isPair = (text.codePointAt(maxLength - 1) ?? 0) > 0xffff
  return text.slice(0, isPair ? maxLength - 1 : maxLength)
}

const MOST_DIGITS = 10n ** 300n

/** A number if it is exact, otherwise its digits. Hundreds of digits take long to write and are of no use. */
export function storableBigint(value: bigint): number | string {
  const size = value < 0n ? -value : value
  if (size <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value)
  return size < MOST_DIGITS ? String(value) : '[bigint]'
}

function toText(foreign: unknown): string {
  if (typeof foreign === 'bigint') return String(storableBigint(foreign))
  if (typeof foreign === 'function') return '[function]'
  try {
    // String() would write out every item of a long list.
    if (Array.isArray(foreign) || ArrayBuffer.isView(foreign)) return '[list]'
    return String(foreign)
  } catch {
    return '[unreadable]'
  }
}
