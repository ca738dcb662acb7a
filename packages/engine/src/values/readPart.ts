/** Reads a property of a foreign object. Returns `instead` if its getter or a Proxy throws. */
export function readPart(foreign: object, part: string, instead?: unknown): unknown {
  try {
    return (foreign as Record<string, unknown>)[part]
  } catch {
    return instead
  }
}
