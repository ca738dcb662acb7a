/** A piece of SQL with the values that belong into it. Prisma's `Prisma.sql` is one as well. */
export interface Sql {
  readonly strings: readonly string[]
  readonly values: readonly unknown[]
}

/** Values become parameters; pieces of SQL are taken in with theirs. */
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

/** As it stands: never with what somebody has typed. */
export function raw(text: string): Sql {
  return { strings: [text], values: [] }
}

export const empty: Sql = raw('')

/** A table or column as it stands in a statement. */
export function quoted(name: string): Sql {
  return raw(`"${name.replaceAll('"', '""')}"`)
}

/** As a driver takes it, with its values by number. */
export function textOf({ strings }: Sql): string {
  return strings.reduce((text, next, nth) => `${text}$${nth}${next}`)
}

function isSql(value: unknown): value is Sql {
  return (
    typeof value === 'object' &&
    value !== null &&
    'strings' in value &&
    'values' in value &&
    Array.isArray(value.strings) &&
    Array.isArray(value.values)
  )
}
