import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'

export interface SmtpAddress {
  host: string
  port: number
  /** TLS from the first byte. Otherwise the server may still offer STARTTLS. */
  isSecure: boolean
  auth: { user: string; pass: string } | null
}

/** The ports for submitting mail (RFC 6409, RFC 8314), not the one between servers. */
const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'smtp:': 587, 'smtps:': 465 }

/** Reads `smtp://user:password@host:port`; null for anything else. */
export function parseSmtpUrl(text: string): SmtpAddress | null {
  const url = URL.parse(text)
  const defaultPort = DEFAULT_PORTS[url?.protocol ?? '']
  if (!url || defaultPort === undefined) return null
  // Nothing after the host has a meaning, so it is a mistake.
  if (!['', '/'].includes(url.pathname) || url.search !== '' || url.hash !== '') return null
  try {
    const host = toHost(decodeURIComponent(url.hostname))
    const [user, pass] = [url.username, url.password].map(decodeURIComponent)
    if (!host || url.port === '0') return null
    return {
      host,
      port: url.port === '' ? defaultPort : Number(url.port),
      isSecure: url.protocol === 'smtps:',
      auth: user ? { user, pass: pass ?? '' } : null,
    }
  } catch {
    // decodeURIComponent refuses a lone per cent sign.
    return null
  }
}

function toHost(hostname: string): string {
  const bare = hostname.replace(/^\[(.*)\]$/, '$1')
  return isIP(bare) === 0 ? domainToASCII(bare) : bare
}
