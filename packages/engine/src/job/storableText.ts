/**
 * Makes text that PostgreSQL can hold, within JSON too: NUL and lone surrogates become U+FFFD. It cuts longer text between
 * characters and adds `…`. It turns anything else into text, and never throws.
 */
export function storableText(foreign: unknown, maxLength = Infinity): string {
  const text = typeof foreign === 'string' ? foreign : toText(foreign)
  const cut = text.length > maxLength ? `${cutBetweenCharacters(text, maxLength)}…` : text
  return cut.toWellFormed().replaceAll('\0', '\ufffd')
}

/** Cuts to `maxLength` UTF-16 units or fewer, without half of a surrogate pair at the end. */
export function cutBetweenCharacters(text: string, maxLength: number): string {
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
