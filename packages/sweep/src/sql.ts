/** A piece of SQL with its values. Prisma's `Prisma.sql` makes such pieces too. */
export interface Sql {
  readonly strings: readonly string[]
  readonly values: readonly unknown[]
}

/** Turns values into parameters, and takes in pieces of SQL with theirs. */
export function sql(strings: readonly string[], ...values: readonly unknown[]): Sql {
  const texts = [strings[0] ?? '']
  const all: unknown[] = []
  const append = (text = '') => {
    texts[texts.length - 1] += text
  }
  for (const [nth, value] of values.entries()) {
    const piece = isSql(value) ? value : { strings: ['', ''], values: [value] }
    append(piece.strings[0])
    for (const [at, one] of piece.values.entries()) {
      all.push(one)
      texts.push(piece.strings[at + 1] ?? '')
    }
    append(strings[nth + 1])
  }
  return { strings: texts, values: all }
}

/** Inserts `text` unchanged. Never pass a user's input. */
export function raw(text: string): Sql {
  return { strings: [text], values: [] }
}

export const empty: Sql = raw('')

/** A table's or column's name in quotation marks. */
export function quoted(name: string): Sql {
  return raw(`"${name.replaceAll('"', '""')}"`)
}

/** The text with numbered parameters, as drivers take it. */
export function textOf({ strings }: Sql): string {
  return strings.reduce((text, next, nth) => `${text}$${nth}${next}`)
}

export function isSql(value: unknown): value is Sql {
  return (
    typeof value === 'object' &&
    value !== null &&
    'strings' in value &&
    'values' in value &&
    Array.isArray(value.strings) &&
    Array.isArray(value.values)
  )
}
