import type { HostLogger } from '@roundsman/engine'
import type { RouteLog } from './route.ts'

/** Logs failures with the id of the request, if the host has given a logger. */
export function logOf(log: Pick<HostLogger, 'warn' | 'error'> | undefined, id: string): RouteLog {
  const silent = () => undefined
  return {
    debug: silent,
    info: silent,
    warn: (fields, message) => log?.warn({ reqId: id, ...fields }, message),
    error: (fields, message) => log?.error({ reqId: id, ...fields }, message),
  }
}
