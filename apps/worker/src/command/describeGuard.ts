import type { Job } from '@roundsman/engine'

/** How much one run may change, in words. */
export function describeGuard({
  guard,
  isDestructive,
  unguarded,
}: Pick<Job, 'guard' | 'isDestructive' | 'unguarded'>): string {
  if (guard === null) {
    if (unguarded !== null) return `none: ${unguarded}`
    return isDestructive ? 'none, though it is destructive' : 'none'
  }
  const { maxRows, maxShare, minRows } = guard
  const limits = [
    maxRows === undefined ? [] : [`${count(maxRows)} rows`],
    maxShare === undefined ? [] : [`${count(maxShare * 100)} % of the rows`],
  ].flat()
  const always = minRows === undefined ? '' : `, never below ${count(minRows)} rows`
  return `asks above ${limits.join(' or ')}${always}`
}

function count(value: number): string {
  return value.toLocaleString('en')
}
