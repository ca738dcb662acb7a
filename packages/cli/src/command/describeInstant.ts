/** Formats an instant in ISO 8601 as `2026-11-24 09:00:00 UTC`, without the fraction of its second. */
export function describeInstant(at: string): string {
  return at.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC')
}
