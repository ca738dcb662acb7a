const CONTEXT = 3

/** The changes between two texts as a unified diff without its head. Empty when they are equal. */
export function diffLines(before: string, after: string): string[] {
  const [old, next] = [before.split('\n'), after.split('\n')]
  const lines = compare(old, next)
  const changed = lines.flatMap(({ mark }, nth) => (mark === ' ' ? [] : [nth]))
  const shown = new Set(
    changed.flatMap((nth) =>
      Array.from({ length: 2 * CONTEXT + 1 }, (_, by) => nth - CONTEXT + by),
    ),
  )
  const result: string[] = []
  let wasShown = true
  for (const [nth, { mark, text }] of lines.entries()) {
    if (shown.has(nth)) {
      if (!wasShown) result.push('@@')
      result.push(`${mark}${text}`)
    }
    wasShown = shown.has(nth)
  }
  return result[0] === '@@' ? result.slice(1) : result
}

interface Line {
  mark: ' ' | '-' | '+'
  text: string
}

/** Compares by the longest common subsequence. */
function compare(old: readonly string[], next: readonly string[]): Line[] {
  const lengths: number[][] = Array.from({ length: old.length + 1 }, () =>
    Array.from({ length: next.length + 1 }, () => 0),
  )
  const at = (a: number, b: number) => lengths[a]?.[b] ?? 0
  for (let a = old.length - 1; a >= 0; a--) {
    for (let b = next.length - 1; b >= 0; b--) {
      const row = lengths[a]
      if (row)
        row[b] = old[a] === next[b] ? at(a + 1, b + 1) + 1 : Math.max(at(a + 1, b), at(a, b + 1))
    }
  }
  const lines: Line[] = []
  let [a, b] = [0, 0]
  while (a < old.length || b < next.length) {
    const [from = '', to = ''] = [old[a], next[b]]
    if (a < old.length && b < next.length && from === to) {
      lines.push({ mark: ' ', text: from })
      a += 1
      b += 1
    } else if (a < old.length && (b === next.length || at(a + 1, b) >= at(a, b + 1))) {
      lines.push({ mark: '-', text: from })
      a += 1
    } else {
      lines.push({ mark: '+', text: to })
      b += 1
    }
  }
  return lines
}
