import type { WantedPort } from './findPortProblems.ts'

/** The inbox shows mail to everybody who reaches it. */
export const INBOX_HOST = '127.0.0.1'

/** Where the parts of the stack listen. */
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

export function wantedPorts({ apiPort, workerPort, inbox }: StackPorts): WantedPort[] {
  return [
    { variable: 'PORT', port: apiPort },
    { variable: 'WORKER_PORT', port: workerPort },
    ...(inbox ? [{ variable: 'INBOX_PORT' as const, port: inbox.webPort, host: INBOX_HOST }] : []),
  ]
}

/** Answers once the API or the worker that listens there can do its work. */
export function readyUrl(host: string, port: number): string {
  return `${urlOf(host, port)}/health/ready`
}

/** An address that this machine reaches, also where we listen on all of them. */
export function urlOf(host: string, port: number): string {
  const reachable = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}
