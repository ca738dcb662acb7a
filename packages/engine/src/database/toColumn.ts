type Value = string | number | boolean | Date | null

/**
 * Makes a parameter for `unnest`: an array as PostgreSQL writes it. The driver takes several times as long. `{}` stands for a
 * column of nulls, since unnest fills up what is missing.
 */
export function toColumn(values: readonly Value[]): string {
  return values.every((value) => value === null) ? '{}' : `{${values.map(toElement).join(',')}}`
}

function toElement(value: Value): string {
  if (value === null) return 'NULL'
  if (typeof value === 'object') return `"${value.toISOString()}"`
  if (typeof value !== 'string') return String(value)
  return ESCAPED.test(value) ? `"${value.replaceAll(/["\\]/g, '\\$&')}"` : `"${value}"`
}

const ESCAPED = /["\\]/
