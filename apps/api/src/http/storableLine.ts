import { storableText } from './storableText.ts'

/**
 * Text of one line that says something: no line break, which would end a header of a message, nor any other
 * control character.
 */
export function storableLine({ max }: { max: number }) {
  return storableText({ max })
    .refine((text) => text === '' || text.trim() !== '', 'is blank')
    .refine(isOneLine, 'contains a line break or another control character')
}

function isOneLine(text: string): boolean {
  // The NUL has been refused already.
  return !/[\p{Cc}\u2028\u2029]/u.test(text.replaceAll('\0', ''))
}
