/** An instant as the value of a datetime-local input, to the minute, on the viewer's clock. Empty for none. */
export function toLocalInput(instant: string | undefined): string {
  if (instant === undefined) return ''
  const date = new Date(instant)
  if (Number.isNaN(date.getTime())) return ''
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 16)
}
