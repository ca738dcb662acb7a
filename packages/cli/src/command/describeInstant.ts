/** `2026-11-24 09:00:00 UTC` of an instant as ISO 8601 in UTC, without the fraction of its second. */
export function describeInstant(at: string): string {
  return at.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC')
}
