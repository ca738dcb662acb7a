import { isMailAddress } from './isMailAddress.ts'

export interface Mailbox {
  /** Empty when there is none. */
  name: string
  address: string
}

/** Reads `address` or `Name <address>`; null for anything else. */
export function parseMailbox(text: string): Mailbox | null {
  const [, quoted = '', address = text] = /^([^<>]*)<([^<>]*)>$/.exec(text.trim()) ?? []
  const name = quoted.trim().replace(/^"(.*)"$/, '$1')
  if (/\p{Cc}/u.test(name) || !isMailAddress(address.trim())) return null
  return { name, address: address.trim() }
}

export function domainOf({ address }: Mailbox): string {
  return address.slice(address.lastIndexOf('@') + 1)
}
