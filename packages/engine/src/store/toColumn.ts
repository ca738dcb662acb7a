type Value = string | number | boolean | Date | null

/**
 * A column for unnest. The driver looks at every element for what has to be escaped; most of ours hold nothing
 * of that kind, and many are empty: unnest fills up with nulls what is missing.
 */
export function toColumn(values: readonly Value[]): string | readonly Value[] {
  const [first = null] = values
  if (values.every((value) => value === first)) {
    if (first === null) return '{}'
    const text = toText(first)
    return ALL_PLAIN.test(String(text))
      ? `{${text}${`,${text}`.repeat(values.length - 1)}}`
      : values
  }
  const texts = values.map(toText)
  return ALL_PLAIN.test(texts.join(';')) ? `{${texts.join(',')}}` : values
}

function toText(value: Value): Exclude<Value, Date> {
  return value instanceof Date ? value.toISOString() : value
}

/**
 * Between semicolons, what means itself in an array's text: uuids, names, numbers, times. `null`, in any case,
 * does not, and neither does nothing.
 */
const ALL_PLAIN = /^(?:(?!null(?:;|$))[\w.:+-]+(?:;(?!$)|$))+$/i
