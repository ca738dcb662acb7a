import { z } from 'zod'

/** Text that PostgreSQL can hold, within JSON too: no NUL, and no half of a surrogate pair. */
export function storableText({ min = 1, max }: { min?: number; max: number }) {
  return z
    .string()
    .min(min)
    .max(max)
    .refine(isStorable, 'contains a NUL character or half of a surrogate pair')
}

function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

/** Text of one line that is not blank, without control characters: a line break would end a message's header. */
export function storableLine({ max }: { max: number }) {
  return storableText({ max })
    .refine((text) => text === '' || text.trim() !== '', 'is blank')
    .refine(isOneLine, 'contains a line break or another control character')
}

function isOneLine(text: string): boolean {
  // Taken out here, since storableText reports it.
  return !/[\p{Cc}\u2028\u2029]/u.test(text.replaceAll('\0', ''))
}
