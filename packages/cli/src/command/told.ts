/** Removes parts that are null, false or empty. */
export function told(...parts: readonly (string | null | false | undefined)[]): string[] {
  return parts.filter((part): part is string => typeof part === 'string' && part !== '')
}
