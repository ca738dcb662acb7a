type Value = string | number | boolean | Date | null

/**
 * A column for unnest. The driver looks at every element for what has to be escaped; most of ours hold nothing
 * of that kind, and many are empty: unnest fills up with nulls what is missing.
 */
export function toColumn(values: readonly Value[]): string | readonly Value[] {
  if (values.every((value) => value === null)) return '{}'
  const texts = values.map((value) => (value instanceof Date ? value.toISOString() : String(value)))
  return texts.every((text) => PLAIN.test(text)) ? `{${texts.join(',')}}` : values
}

/** Means itself in an array's text: uuids, names, numbers, times. `null`, in any case, does not. */
const PLAIN = /^(?!null$)[\w.:+-]+$/i
