import { domainToASCII } from 'node:url'

/** RFC 5321, 4.5.3.1.3: a path has 256 octets, two of which are its brackets. */
const MAX_BYTES = 254
/** Leaves out what ends an address in a header or a command, what begins another, and what can't be seen. */
const PART = /^[^\s@<>()[\]\\,;:"\p{C}]+$/u

/**
 * Whether a text is one address and nothing else. Names may be in any script (RFC 6531). It refuses quoted local parts
 * and numeric hosts, which nobody uses.
 */
export function isMailAddress(text: string): boolean {
  const at = text.lastIndexOf('@')
  const domain = text.slice(at + 1)
  return (
    Buffer.byteLength(text) <= MAX_BYTES &&
    PART.test(text.slice(0, Math.max(at, 0))) &&
    PART.test(domain) &&
    domainToASCII(domain) !== ''
  )
}
