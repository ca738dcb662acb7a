/**
 * A text that PostgreSQL can hold, also within JSON: NUL and halves of surrogate pairs become U+FFFD. A longer one is
 * cut between characters, and ends with `…`. What is no text is turned into one, and never throws.
 */
export function storableText(foreign: unknown, maxLength = Infinity): string {
  const text = typeof foreign === 'string' ? foreign : toText(foreign)
  const cut = text.length > maxLength ? `${cutBetweenCharacters(text, maxLength)}…` : text
  return cut.toWellFormed().replaceAll('\0', '\ufffd')
}

/** At most so many units, without half of a surrogate pair at the end. */
export function cutBetweenCharacters(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text
  const isPair = (text.codePointAt(maxLength - 1) ?? 0) > 0xffff
  return text.slice(0, isPair ? maxLength - 1 : maxLength)
}

const MOST_DIGITS = 10n ** 300n

/** A number where that is exact, else its digits. Of hundreds of digits nobody wants to know, and they take long. */
export function storableBigint(value: bigint): number | string {
  const size = value < 0n ? -value : value
  if (size <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value)
  return size < MOST_DIGITS ? String(value) : '[bigint]'
}

function toText(foreign: unknown): string {
  if (typeof foreign === 'bigint') return String(storableBigint(foreign))
  if (typeof foreign === 'function') return '[function]'
  try {
    // It would be written out, item by item, however long it is.
    if (Array.isArray(foreign) || ArrayBuffer.isView(foreign)) return '[list]'
    return String(foreign)
  } catch {
    return '[unreadable]'
  }
}
