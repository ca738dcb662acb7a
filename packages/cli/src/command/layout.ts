import { stripVTControlCharacters, styleText } from 'node:util'

/** Longer lines are hard to read, even in a wider terminal. */
const MAX_WIDTH = 100
const DEFAULT_WIDTH = 80
const MIN_WIDTH = 40

export type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green' | 'cyan'

/** The width of the output, and its colours. */
export interface Layout {
  width: number
  /** Returns the text unchanged if colours would show as characters, or are turned off. */
  paint(style: Style, text: string): string
}

/** A terminal, or another stream. */
export type Output = NodeJS.WritableStream & { isTTY?: boolean; columns?: number }

/** Colours only on a terminal, and never with NO_COLOR. */
export function standardLayout(stdout: Output): Layout {
  const columns = (stdout.isTTY && stdout.columns) || DEFAULT_WIDTH
  return {
    width: Math.max(MIN_WIDTH, Math.min(MAX_WIDTH, columns)),
    paint: (style, text) => styleText(style, text, { stream: stdout }),
  }
}

const STEERING = /\p{Cc}\[(?:1|2|22|3[1-6]|39)m|[[\p{Cc}\p{Bidi_Control}\u2028\u2029]--[\t\n]]/gv

/**
 * Shows characters that control a terminal or reorder its text as `\u202e`, except colours and line breaks. All output of
 * commands passes this. JSON keeps its meaning.
 */
function printable(text: string): string {
  return text.replaceAll(STEERING, (found, at: number) => {
    const isColour = found.length > 1 && found.startsWith('\u001b')
    if (isColour || (found === '\r' && text[at + 1] === '\n')) return found
    return `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}${found.slice(1)}`
  })
}

/** The same stream with printable text. */
export function printableOutput(output: Output): Output {
  const write = (text: string | Uint8Array, ...how: never[]) =>
    output.write(typeof text === 'string' ? printable(text) : text, ...how)
  return Object.create(output, { write: { value: write } }) as Output
}

/** Puts foreign text on one line, without terminal control sequences. */
export function onOneLine(text: string): string {
  return printable(
    stripVTControlCharacters(text)
      .replaceAll(/[\s\p{Cc}]+/gu, ' ')
      .trim(),
  )
}

/** Breaks text into lines of at most `width` and indents all but the first. A longer word gets a line of its own. */
export function wrap(text: string, width: number, indent = 0): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const room = lines.length === 0 ? width : width - indent
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  lines.push(line)
  return lines.join(`\n${' '.repeat(indent)}`)
}

/** Lays rows out in columns as wide as their content, and wraps the last column. A style paints a whole row. */
export function layOutRows(
  rows: readonly { cells: readonly string[]; style?: Style | undefined }[],
  { width, paint }: Layout,
  indent = 0,
): string[] {
  const columns = Math.max(0, ...rows.map(({ cells }) => cells.length))
  const widths = Array.from({ length: columns }, (_, nth) =>
    Math.max(0, ...rows.map(({ cells }) => cells[nth]?.length ?? 0)),
  )
  return rows.map(({ cells, style }) => {
    const last = cells.length - 1
    let before = ' '.repeat(indent)
    for (const [nth, cell] of cells.slice(0, last).entries()) {
      before += `${cell.padEnd(widths[nth] ?? 0)}  `
    }
    const room = Math.max(MIN_WIDTH / 2, width - before.length)
    const text = wrap(cells[last] ?? '', room).replaceAll('\n', `\n${' '.repeat(before.length)}`)
    const line = `${before}${text}`.trimEnd()
    return style ? paint(style, line) : line
  })
}

export type Fact = readonly [what: string, value: string | number | null | false]

/** Lays facts out, each on a separate line. Facts without a value are left out. */
export function layOutFacts(facts: readonly Fact[], layout: Layout, indent = 0): string[] {
  const rows = facts.filter(([, value]) => value !== null && value !== false && value !== '')
  const cells = rows.map(([what, value]) => ({ cells: [what, onOneLine(String(value))] }))
  return layOutRows(cells, layout, indent)
}
