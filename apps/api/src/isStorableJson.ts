import { isStorable } from './storableText.ts'

/** Far deeper than any payload, and far from where a parser's stack ends. */
const MAX_DEPTH = 32

/** Whether PostgreSQL can hold a value that was parsed from JSON, keys included. */
export function isStorableJson(value: unknown, depth = 0): boolean {
  if (typeof value === 'string') return isStorable(value)
  if (typeof value !== 'object' || value === null) return true
  if (depth >= MAX_DEPTH) return false
  return Object.entries(value).every(
    ([key, item]) => isStorable(key) && isStorableJson(item, depth + 1),
  )
}
