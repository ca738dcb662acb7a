import type { WantedPort } from './findPortProblems.ts'

/** Loopback only: the inbox shows all mail to everybody who reaches it. */
export const INBOX_HOST = '127.0.0.1'

/** The ports on which the parts of the stack listen. */
export interface StackPorts {
  host: string
  apiPort: number
  workerPort: number
  inbox: InboxPorts | null
}

interface InboxPorts {
  webPort: number
  smtpPort: number
}

/** The ports that have to be free, with the variables that name them. */
export function wantedPorts({ apiPort, workerPort, inbox }: StackPorts): WantedPort[] {
  return [
    { variable: 'PORT', port: apiPort },
    { variable: 'WORKER_PORT', port: workerPort },
    ...(inbox ? [{ variable: 'INBOX_PORT' as const, port: inbox.webPort, host: INBOX_HOST }] : []),
  ]
}

/** The address at which API and worker answer 2xx once they can work. */
export function readyUrl(host: string, port: number): string {
  return `${urlOf(host, port)}/health/ready`
}

/** The address by which this machine reaches a port, also where we listen on all interfaces. */
export function urlOf(host: string, port: number): string {
  const reachable = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}
