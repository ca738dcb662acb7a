/** Reads a part of a foreign object. Where its getter throws, or it is a Proxy that does, that part is `instead`. */
export function readPart(foreign: object, part: string, instead?: unknown): unknown {
  try {
    return (foreign as Record<string, unknown>)[part]
  } catch {
    return instead
  }
}
