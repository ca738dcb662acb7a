type Value = string | number | boolean | Date | null

/**
 * A column for unnest. The driver looks at every element for what has to be escaped; most of ours hold nothing
 * of that kind, and many are empty: unnest fills up with nulls what is missing.
 */
export function toColumn(values: readonly Value[]): string | readonly Value[] {
  if (values.every((value) => value === null)) return '{}'
  const texts = values.map((value) => (value instanceof Date ? value.toISOString() : value))
  return ALL_PLAIN.test(texts.join(';')) ? `{${texts.join(',')}}` : values
}

/**
 * Between semicolons, what means itself in an array's text: uuids, names, numbers, times. `null`, in any case,
 * does not, and neither does nothing.
 */
const ALL_PLAIN = /^(?:(?!null(?:;|$))[\w.:+-]+(?:;(?!$)|$))+$/i
