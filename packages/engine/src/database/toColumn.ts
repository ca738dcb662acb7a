type Value = string | number | boolean | Date | null

/**
 * Makes a parameter for `unnest`. The driver escapes every element on its own, which is slow; plain values are joined here
 * instead. `{}` stands for a column of nulls, since unnest fills up what is missing.
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
 * Values, joined by semicolons, that need no escaping in an array's text: uuids, names, numbers, times. `null` in any case
 * and an empty text do.
 */
const ALL_PLAIN = /^(?:(?!null(?:;|$))[\w.:+-]+(?:;(?!$)|$))+$/i
