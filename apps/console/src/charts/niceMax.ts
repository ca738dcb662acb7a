/** The end of an axis that begins at 0: the least of 1, 2, 4, 5 or 8 times a power of ten that holds all values. */
export function niceMax(values: readonly number[]): number {
  const max = values.reduce((most, value) => Math.max(most, value), 0)
  if (max <= 1) return 1
  const power = 10 ** Math.floor(Math.log10(max))
  return ([1, 2, 4, 5, 8].find((step) => step * power >= max) ?? 10) * power
}
