import type { RunRow } from './checkHostile.ts'

export interface Distribution {
  count: number
  p50Ms: number
  p99Ms: number
  maxMs: number
}

export function distribution(values: number[]): Distribution {
  const sorted = values.toSorted((one, other) => one - other)
  const at = (share: number) => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)
  return { count: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}

/** Says how many runs there are of each job. */
export function countBy(runs: readonly RunRow[]): string {
  const by = Map.groupBy(runs, ({ name }) => name)
  return [...by].map(([name, ones]) => `${ones.length} × ${name}`).join(', ') || 'none'
}

/** The first few, to begin looking with. */
export function sampleOf(problems: readonly string[]): string {
  return problems.length === 0 ? '' : `: ${problems.slice(0, 5).join('; ').replaceAll('|', '\\|')}`
}
