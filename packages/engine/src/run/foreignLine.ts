import { format } from 'node:util'
import { MAX_READ } from '../values/maskText.ts'
import { storable } from '../values/storable.ts'

/** Limits of one log line: how many values or fields it may have, and how large each may be as JSON. */
export const MAX_FIELDS = 50
export const MAX_FIELDS_BYTES = 16_384

/**
 * Formats a message as loggers do, but writes every value as JSON for any format: to inspect a value may call
 * foreign code. It never throws.
 */
export function formatMessage(text: string, values: readonly unknown[]): string {
  const asked = text
    .slice(0, MAX_READ)
    .replaceAll(/%[%jOo]/g, (mark) => (mark === '%%' ? mark : '%s'))
  const copies = values.slice(0, MAX_FIELDS).map((value) => {
    const copy = storable(value, MAX_FIELDS_BYTES)
    if (copy.kind === 'tooLarge') return '[too large]'
    const isPlain = typeof copy.value !== 'object' || copy.value === null
    return isPlain ? copy.value : JSON.stringify(copy.value)
  })
  return format(asked, ...copies)
}

/** Adds fields, or returns the fixed ones alone when the others cannot be read. */
export function mergeFields(fixed: object, fields: object): object {
  try {
    return { ...fixed, ...fields }
  } catch {
    return fixed
  }
}
