import type { Details } from '../index.ts'
import { storable } from '../job/storable.ts'

/** Unless a worker is told otherwise. */
export const MAX_DETAILS_BYTES = 65_536

/**
 * What a handler has returned, or an error carries, as details; null when it is too large. What is no object is kept
 * as `result`. Where there is nothing, there are none.
 */
export function storableDetails(foreign: unknown, maxBytes: number): Details | null {
  if (foreign === undefined || foreign === null) return {}
  const copy = storable(foreign, maxBytes)
  if (copy.kind === 'tooLarge') return null
  const { value } = copy
  if (value === undefined || value === null) return {}
  return typeof value === 'object' && !Array.isArray(value) ? value : { result: value }
}

/** PostgreSQL answers with the details of many runs as one value, and it has a limit. */
const MOST_DETAILS_BYTES = 16_000_000

/** @throws TypeError */
export function checkMaxDetailsBytes(bytes: number = MAX_DETAILS_BYTES): number {
  if (Number.isInteger(bytes) && bytes >= 1 && bytes <= MOST_DETAILS_BYTES) return bytes
  throw new TypeError(
    `maxDetailsBytes must be a whole number from 1 to ${MOST_DETAILS_BYTES}, not ${bytes}`,
  )
}
