/** How a product writes its TypeScript. */
export interface Style {
  semicolons: boolean
  quote: "'" | '"'
  indent: string
}

/** The style of most of its lines. */
export function findStyle(texts: readonly string[]): Style {
  let [withSemicolon, without, single, double] = [0, 0, 0, 0]
  const indents = new Map<string, number>()
  for (const text of texts) {
    withSemicolon += count(text, /;$/gm)
    // A line that ends a statement without a semicolon.
    without += count(text, /^[ \t]*(?:import|export|const|let|return)\b.*[\w'")\]]$/gm)
    single += count(text, /from '/g)
    double += count(text, /from "/g)
    // Only below lines that are not indented themselves.
    for (const [, indent = ''] of text.matchAll(/^\S.*\{\n(\t| {2}| {4})(?=\S)/gm)) {
      indents.set(indent, (indents.get(indent) ?? 0) + 1)
    }
  }
  const [[indent] = ['  ']] = [...indents].toSorted(([, a], [, b]) => b - a)
  return {
    semicolons: withSemicolon >= without,
    quote: double > single ? '"' : "'",
    indent,
  }
}

function count(text: string, what: RegExp): number {
  return text.match(what)?.length ?? 0
}

/**
 * Rewrites a text of ours in the product's style. It expects semicolons, single quotes and two spaces; comments and strings
 * without quotes inside; and no line that begins with a bracket.
 */
export function inStyle(text: string, { semicolons, quote, indent }: Style): string {
  return text
    .split('\n')
    .map((line) => {
      const spaces = /^ */.exec(line)?.[0].length ?? 0
      const isComment = /^\s*(\/\/|\/?\*)/.test(line)
      const body = line.slice(spaces)
      const rest = isComment
        ? body
        : body.replaceAll("'", quote).replace(/;$/, semicolons ? ';' : '')
      const depth = indent.repeat(Math.floor(spaces / 2)) + ' '.repeat(spaces % 2)
      return depth + rest
    })
    .join('\n')
}
