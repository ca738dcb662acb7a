import { hash } from 'node:crypto'
import { parseSync, Visitor, type Comment } from 'oxc-parser'

/** A function of the sources, as a reader meets it. */
export interface Place {
  path: string
  line: number
  /** The comment that opens the file or follows its imports, else the one of the function named like the file. */
  header: string
  /** The function with its comment. */
  text: string
}

const SOURCE =
  /^(?:(?:apps|packages)\/[^/]+\/src|scripts(?!\/(?:test|hosts\/products)\/))\/.+\.tsx?$/

/**
 * Draws functions evenly over the files of the sources, at most one from each, so that long files do not fill the draw.
 * The same seed draws the same files and, in a file that has not changed, the same function.
 */
export function drawPlaces(
  files: ReadonlyMap<string, string>,
  { seed, count }: { seed: string; count: number },
): Place[] {
  return [...files]
    .filter(([path]) => SOURCE.test(path))
    .map(([path, text]) => ({ path, text, lot: hash('sha256', `${seed} ${path}`) }))
    .toSorted((one, other) => (one.lot < other.lot ? -1 : 1))
    .values()
    .flatMap(({ path, text, lot }) => drawFrom(path, text, Number.parseInt(lot.slice(0, 8), 16)))
    .take(count)
    .toArray()
}

/** The function of a file on which the lot falls; none if the file has no named function of several lines. */
function drawFrom(path: string, text: string, lot: number): Place[] {
  const { program, comments } = parseSync(path, text)
  const found: { name: string; start: number; end: number }[] = []
  new Visitor({
    FunctionDeclaration: ({ id, start, end }) => found.push({ name: id?.name ?? '', start, end }),
    VariableDeclarator: ({ id, init, start, end }) => {
      if (id.type === 'Identifier' && init && /Function/.test(init.type))
        found.push({ name: id.name, start, end })
    },
  }).visit(program)
  // A function of one line explains itself by what it calls.
  const long = found.filter(({ start, end }) => text.slice(start, end).includes('\n'))
  const drawn = long[lot % long.length]
  if (drawn === undefined) return []
  const begin = lineOf(text, drawn.start)
  const from = startOfComments(text, begin, comments)
  const main = found.find(({ name }) => path.replace(/\.tsx?$/, '').endsWith(`/${name}`))
  const [opening] = /^\/\*\n[^]*?\*\/$|^(?<![^])(?:\/\/.*\n)+/m.exec(text) ?? []
  const header = opening ?? (main && main !== drawn ? commentOf(main.start) : '')
  const line = text.slice(0, begin).split('\n').length
  return [{ path, line, header: header.trim(), text: text.slice(from, drawn.end) }]

  function commentOf(start: number): string {
    const end = lineOf(text, start)
    return text.slice(startOfComments(text, end, comments), end)
  }
}

/** Where the line begins that holds this position. */
function lineOf(text: string, position: number): number {
  return text.lastIndexOf('\n', position - 1) + 1
}

/** Where the comments begin that stand right above a line; without any, the line itself. */
function startOfComments(text: string, line: number, comments: readonly Comment[]): number {
  let from = line
  for (const { start, end } of comments.toReversed()) {
    const stands = text.slice(lineOf(text, start), start) + text.slice(end, from)
    if (end <= from && /^\s*$/.test(stands) && !/\n\s*\n/.test(stands)) from = lineOf(text, start)
  }
  return from
}
