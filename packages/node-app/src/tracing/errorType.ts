/** What a span records of an error: its code, which is short and from a small set, else its class. */
export function errorType(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  if (typeof code === 'string') return code
  return error instanceof Error ? error.name : '_OTHER'
}
