/** The position of an entry in a manifest's text. */
interface Entry {
  key: string
  /** Where its key begins. */
  at: number
  /** Just after its value. */
  end: number
}

interface FoundObject {
  /** Just after the opening brace. */
  start: number
  /** At the closing brace. */
  end: number
  entries: Entry[]
}

/**
 * Returns a package.json with more entries in one section and all else unchanged. If a section is in alphabetical order, it
 * stays so; in others they come last. Existing entries do not change.
 */
export function addEntries(
  text: string,
  section: string,
  entries: Readonly<Record<string, string>>,
): string {
  let changed = text
  for (const [key, value] of Object.entries(entries))
    changed = addEntry(changed, section, key, value)
  const isOfWindows = text.includes('\r\n') && !/(?<!\r)\n/.test(text)
  return isOfWindows ? changed.replaceAll(/(?<!\r)\n/g, '\r\n') : changed
}

function addEntry(text: string, section: string, key: string, value: string): string {
  const indent = /\n([ \t]+)"/.exec(text)?.[1] ?? '  '
  const line = `${JSON.stringify(key)}: ${JSON.stringify(value)}`
  const place = text.indexOf('{')
  const root = readObject(text, place)
  // If a section exists twice, JSON parsers use the last.
  const found = root.entries.findLast((entry) => entry.key === section)
  const body = `${JSON.stringify(section)}: {\n${indent}${indent}${line}\n${indent}}`
  if (!found) return putAtEnd(text, root, body, indent, '')
  if (text.slice(found.at, found.end).endsWith('null'))
    return `${text.slice(0, found.at)}${body}${text.slice(found.end)}`
  const object = readObject(text, text.indexOf('{', found.at))
  if (object.entries.some((entry) => entry.key === key)) return text
  const keys = object.entries.map((entry) => entry.key)
  const isSorted = keys.every((one, nth) => nth === 0 || (keys[nth - 1] ?? '') <= one)
  const next = isSorted ? object.entries.find((entry) => entry.key > key) : undefined
  if (next === undefined) return putAtEnd(text, object, line, indent.repeat(2), indent)
  return `${text.slice(0, next.at)}${line},\n${indent.repeat(2)}${text.slice(next.at)}`
}

function putAtEnd(
  text: string,
  { start, end, entries }: FoundObject,
  line: string,
  indent: string,
  before: string,
): string {
  const last = entries.at(-1)
  return last
    ? `${text.slice(0, last.end)},\n${indent}${line}${text.slice(last.end)}`
    : `${text.slice(0, start)}\n${indent}${line}\n${before}${text.slice(end)}`
}

/** Reads the object that opens at `open`, in a text that is JSON. */
function readObject(text: string, open: number): FoundObject {
  const entries: Entry[] = []
  let at = open + 1
  for (;;) {
    at = skipBlank(text, at)
    if (text[at] === '}' || at >= text.length) return { start: open + 1, end: at, entries }
    const keyEnd = skipString(text, at)
    const key = JSON.parse(text.slice(at, keyEnd)) as string
    const end = skipValue(text, skipBlank(text, skipBlank(text, keyEnd) + 1))
    entries.push({ key, at, end })
    at = skipBlank(text, end)
    if (text[at] === ',') at += 1
  }
}

function skipValue(text: string, from: number): number {
  if (text[from] === '"') return skipString(text, from)
  let depth = 0
  let at = from
  while (at < text.length) {
    const letter = text[at]
    if (letter === '"') {
      at = skipString(text, at)
      continue
    }
    if (letter === '{' || letter === '[') depth += 1
    if (letter === '}' || letter === ']') {
      if (depth === 0) return at
      depth -= 1
      if (depth === 0) return at + 1
    }
    if (depth === 0 && (letter === ',' || /\s/.test(letter ?? ''))) return at
    at += 1
  }
  return at
}

function skipString(text: string, from: number): number {
  let at = from + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at + 1
}

function skipBlank(text: string, from: number): number {
  let at = from
  while (/\s/.test(text[at] ?? '')) at += 1
  return at
}
