/** Three significant digits, with separated thousands. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2
  return value.toLocaleString('en-US', {
    minimumFractionDigits: Number.isInteger(value) ? 0 : digits,
    maximumFractionDigits: digits,
  })
}

/** A Markdown table of these cells, or an empty text without rows. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(headings), `|${headings.map(() => '---|').join('')}`, ...rows.map(line)].join('\n')
}

export function ms(value: number): string {
  return `${formatNumber(value)} ms`
}

/** All rounds, from the smallest to the largest. */
export function range({ min, max }: { min: number; max: number }): string {
  return `${formatNumber(min)} to ${formatNumber(max)}`
}

const MAX_CELL_CHARACTERS = 320

/** What somebody else has written, for a cell: on one line, and not too long. */
function quote(text: string, maxCharacters = MAX_CELL_CHARACTERS): string {
  const shown = JSON.stringify(text).slice(1, -1)
  return shown.length > maxCharacters ? `${shown.slice(0, maxCharacters)}…` : shown
}

const MAX_COUNTS = 25

/** How often each was seen, the most frequent first. */
export function tableOfCounts(
  headings: readonly [string, string],
  counts: ReadonlyMap<string, number>,
  maxCharacters = 60,
): string {
  const sorted = [...counts].toSorted(([, one], [, other]) => other - one)
  const rows = sorted
    .slice(0, MAX_COUNTS)
    .map(([what, count]) => [quote(what.slice(0, maxCharacters)), String(count)])
  const rest = sorted.slice(MAX_COUNTS)
  const others = rest.reduce((sum, [, count]) => sum + count, 0)
  if (rest.length > 0) rows.push([`${rest.length} others`, String(others)])
  return table(headings, rows)
}

export function increase<Key>(counts: Map<Key, number>, key: Key, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by)
}
