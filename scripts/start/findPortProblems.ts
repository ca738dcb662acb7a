import { createServer } from 'node:net'

export interface WantedPort {
  variable: 'PORT' | 'WORKER_PORT' | 'INBOX_PORT'
  port: number
  /** Default: the host of all ports. */
  host?: string
}

export interface FindPortProblemsOptions {
  host: string
  ports: WantedPort[]
  /** The command that started us, for the remedy: `npx -y pnpm@12 start`. */
  command: string
}

export interface PortProblem {
  /** One sentence that names the variable and the remedy. */
  message: string
  /** Whether another process listens there, which may go away. */
  isTaken: boolean
}

/** Tries to listen on each port, and returns what keeps us from it. */
export async function findPortProblems(options: FindPortProblemsOptions): Promise<PortProblem[]> {
  const { ports, command } = options
  const problems = new Map<string, PortProblem>()
  const seen = new Map<number, string>()
  for (const { variable, port, host = options.host } of ports) {
    const twin = seen.get(port)
    const code = twin === undefined ? await tryToListen(host, port) : 'TWIN'
    if (port !== 0) seen.set(port, variable)
    if (code === undefined) continue
    const remedy = `${variable}=${port + (port > 65_000 ? -100 : 100)} ${command}`
    const message = explain({ variable, port, host, remedy, twin, code })
    // A wrong host is one problem, however many ports it has.
    problems.set(message, { message, isTaken: code === 'EADDRINUSE' })
  }
  return [...problems.values()]
}

interface Refusal extends WantedPort {
  host: string
  remedy: string
  /** The other variable that names this port. */
  twin: string | undefined
  code: string
}

/** The message for a refused port, by the error's code, with the remedy. */
function explain({ variable, port, host, remedy, twin, code }: Refusal): string {
  switch (code) {
    case 'TWIN':
      return `${variable}: ${port} is what ${twin} names already; choose another port: ${remedy}`
    case 'EADDRINUSE':
      return `${variable}: port ${port} is taken by another process; stop that one, or choose another port: ${remedy}`
    case 'EACCES':
      return `${variable}: this account may not listen on port ${port}; choose one above 1023: ${remedy}`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `HOST: ${host} is not an address of this machine; set 127.0.0.1 or 0.0.0.0, or leave it out`
    default:
      return `${variable}: cannot listen on port ${port} of ${host} (${code}); choose another: ${remedy}`
  }
}

/** The error's code when listening fails, else undefined. */
function tryToListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}
