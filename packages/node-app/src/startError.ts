/** Why a process cannot start: one line with the variable and the remedy, printed without a stack. */
export class StartError extends Error {
  override readonly name: string = 'StartError'
}

/**
 * Explains why a port cannot be listened on, or returns null for any other error. `variable` names the port, such as PORT.
 */
export function explainListenError(
  error: unknown,
  { variable, port, host }: { variable: string; port: number; host: string },
): StartError | null {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return new StartError(
        `${variable}: ${port} is taken by another process; stop that one, or set ${variable} to another number, such as ${variable}=${port < 65_535 ? port + 1 : port - 1}`,
      )
    case 'EACCES':
      return new StartError(
        `${variable}: this account may not listen on ${port}; set ${variable} to a number above 1023`,
      )
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new StartError(
        `HOST: ${host} is not an address of this machine; set 127.0.0.1 or 0.0.0.0, or leave it out`,
      )
    default:
      return null
  }
}
