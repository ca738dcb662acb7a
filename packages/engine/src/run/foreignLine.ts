import { format } from 'node:util'
import { MAX_READ } from '../job/redact.ts'
import { storable } from '../job/storable.ts'

/** Of the values of one line, and of the fields. */
export const MAX_FIELDS = 50
export const MAX_FIELDS_BYTES = 16_384

/**
 * A message as loggers format it, but with all values as JSON, whatever is asked for: where `format` inspects, what the
 * payload holds is taken apart and could not be found. It never throws.
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

/** Fields on top of others; without those that cannot be read. */
export function mergeFields(fixed: object, fields: object): object {
  try {
    return { ...fixed, ...fields }
  } catch {
    return fixed
  }
}
