import type { Bindings, ChildLoggerOptions, Logger } from 'pino'

const LEVELS = new Set<string | symbol>(['trace', 'debug', 'info', 'warn', 'error', 'fatal'])

/**
 * The product's logger, but that a line which it fails to write is lost, and nothing else: pino's transports make every
 * call throw once their thread is gone. One that makes no child is its own.
 */
export function containedLog(log: Logger): Logger {
  // Made once for each that is used: lines are written on the way of every run.
  const made = new Map<string | symbol, unknown>()
  const contained: Logger = new Proxy(log, {
    get(target, name) {
      const known = made.get(name)
      if (known !== undefined) return known
      if (LEVELS.has(name)) return keep(name, write(target, name as 'info'))
      if (name === 'child') return keep(name, openChild(target))
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  return contained

  function keep(name: string | symbol, method: unknown): unknown {
    made.set(name, method)
    return method
  }

  function write(target: Logger, level: 'info') {
    return (...args: Parameters<Logger['info']>) => {
      try {
        target[level](...args)
      } catch {
        // There is nowhere to say it.
      }
    }
  }

  function openChild(target: Logger) {
    return (bindings: Bindings, options?: ChildLoggerOptions): Logger => {
      try {
        return containedLog(target.child(bindings, options))
      } catch {
        return contained
      }
    }
  }
}
