import type { Logger } from 'pino'

const LEVELS = new Set<string | symbol>(['trace', 'debug', 'info', 'warn', 'error', 'fatal'])

/**
 * The product's logger, but that a line which it fails to write is lost, and nothing else: pino's transports make every
 * call throw once their thread is gone.
 */
export function containedLog(log: Logger): Logger {
  return new Proxy(log, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name === 'child') {
        return (...args: unknown[]) => containedLog(value.apply(target, args) as Logger)
      }
      if (!LEVELS.has(name)) return value.bind(target) as unknown
      return (...args: unknown[]) => {
        try {
          value.apply(target, args)
        } catch {
          // There is nowhere to say it.
        }
      }
    },
  })
}
