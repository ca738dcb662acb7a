/** One change to a file's text: `text` replaces what stands from `start` to `end`. */
export interface Mutant {
  start: number
  end: number
  text: string
  line: number
  what: string
}

/** What ends a sort key or a condition, where no bracket is open. */
const ENDS_KEY = /^(?:,|;|`|\n\s*--|\s(?:limit|for update|desc|asc|nulls|rows|range)\b)/
const ENDS_CONDITION =
  /^(?:;|`|\n\s*--|\s(?:and|or|then|else|end|as|from|where|order by|group by|limit|for|returning|union|on conflict)\b)/

/**
 * Finds the changes to a file's SQL that a tired engineer makes: a sort key reversed, a condition dropped, a lock gone. It
 * reads keywords in small letters outside of comments, and no grammar: a statement that PostgreSQL refuses is noticed by any test.
 */
export function findMutants(source: string): Mutant[] {
  const code = blankComments(source)
  const at = (start: number, end: number, text: string, what: string): Mutant => ({
    start,
    end,
    text,
    line: source.slice(0, start).split('\n').length,
    what,
  })
  const mutants: Mutant[] = []
  for (const { index, 0: found } of code.matchAll(/\border by\s+/g)) {
    let start = index + found.length
    for (;;) {
      const end = endOf(code, start, ENDS_KEY)
      const key = source.slice(start, end).trimEnd()
      const direction = /^\s+(desc|asc)\b/.exec(code.slice(end))
      const after = end + (direction?.[0].length ?? 0)
      const reversed = direction?.[1] === 'desc' ? key : `${key} desc`
      mutants.push(at(start, after, reversed, `reversed: order by ${key}`))
      const nulls = /^\s+nulls (?:first|last)\b/.exec(code.slice(after))
      const comma = after + (nulls?.[0].length ?? 0)
      if (code[comma] !== ',') break
      start = comma + 1 + (/^\s+/.exec(code.slice(comma + 1))?.[0].length ?? 0)
    }
  }
  for (const { index, 0: found } of code.matchAll(/\sand\s/g)) {
    if (/\bbetween\s+\S+$/.test(code.slice(0, index))) continue
    const end = endOf(code, index + found.length, ENDS_CONDITION)
    const condition = source.slice(index + found.length, end)
    mutants.push(at(index, end, ' ', `dropped: and ${condition.trim()}`))
  }
  for (const { index, 0: found } of code.matchAll(
    /\s(?:for (?:no key )?(?:update|share|key share)|skip locked)\b/g,
  ))
    mutants.push(at(index, index + found.length, ' ', `dropped:${found}`))
  return mutants.toSorted((one, other) => one.start - other.start)
}

/** Where what begins at `from` ends: at what `ends` matches, or at a bracket that something before it opened. */
function endOf(code: string, from: number, ends: RegExp): number {
  let depth = 0
  const line = code.slice(code.lastIndexOf('\n', from) + 1, from)
  // In a text of one line, a quote ends the SQL; elsewhere it begins one of SQL's own texts.
  const isQuoted = line.split("'").length % 2 === 0
  for (let at = from; at < code.length; at += 1) {
    const sign = code[at] as string
    if (sign === "'" && isQuoted) return at
    if (sign === "'") at = code.indexOf("'", at + 1)
    if ('([{'.includes(sign)) depth += 1
    else if (')]}'.includes(sign)) depth -= 1
    if (depth < 0 || (depth === 0 && at > from && ends.test(code.slice(at, at + 40)))) return at
  }
  return code.length
}

/** The same text and length, without what stands in comments. */
function blankComments(source: string): string {
  return source.replaceAll(/\/\*[\s\S]*?\*\/|^\s*(?:\/\/|--).*$/gm, (comment) =>
    comment.replaceAll(/[^\n]/g, ' '),
  )
}
