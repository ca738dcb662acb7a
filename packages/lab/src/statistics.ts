/** The value below which that share of all values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
}

/** For an even number of values, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const above = sorted[Math.floor(sorted.length / 2)] ?? NaN
  const below = sorted[Math.ceil(sorted.length / 2) - 1] ?? NaN
  return (above + below) / 2
}

export interface Summary {
  median: number
  /** The smallest and the largest of all rounds. */
  min: number
  max: number
}

export function summarise(values: readonly number[]): Summary {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/**
 * The ratio of each round: what slows a whole round down slows both sides, so that most of the machine's noise cancels out.
 */
export function ratios(ours: readonly number[], theirs: readonly number[]): number[] {
  if (ours.length !== theirs.length) {
    throw new Error(`${ours.length} rounds on one side and ${theirs.length} on the other`)
  }
  return ours.map((value, round) => value / (theirs[round] ?? NaN))
}

export interface Distribution {
  count: number
  p50Ms: number
  p99Ms: number
  maxMs: number
}

export function distribution(values: readonly number[]): Distribution {
  const at = (share: number) => Math.round(values.length === 0 ? 0 : quantile(values, share))
  return { count: values.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}

/** The ratios of all rounds. */
export function compare(ours: readonly number[], theirs: readonly number[]): Summary {
  return summarise(ratios(ours, theirs))
}

/** A figure of its own for each side, or for each of several things that are measured. */
export function bySide<Side extends string | number, Value>(
  sides: readonly Side[],
  make: () => Value,
): Record<Side, Value> {
  return Object.fromEntries(sides.map((side) => [side, make()])) as Record<Side, Value>
}

export interface Latency {
  p50: number
  p99: number
}

export function latencyOf(durationsMs: readonly number[]): Latency {
  return { p50: quantile(durationsMs, 0.5), p99: quantile(durationsMs, 0.99) }
}

/** The median of each quantile over the rounds. */
export function middle(latencies: readonly Latency[]): Latency {
  return {
    p50: median(latencies.map(({ p50 }) => p50)),
    p99: median(latencies.map(({ p99 }) => p99)),
  }
}

/**
 * The order of a round. Every other round is reversed, so that nobody always goes first on a machine that has just rested.
 */
export function inTurn<Value>(values: readonly Value[], round: number): readonly Value[] {
  return round % 2 === 0 ? values : values.toReversed()
}
