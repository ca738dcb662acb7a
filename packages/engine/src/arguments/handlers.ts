import { types } from 'node:util'
import type { Job } from '../job/defineJob.ts'
import { storableText } from '../job/storableText.ts'
import { ArgumentError, tell } from './argument.ts'
import { findNearest } from './nearest.ts'

/**
 * Refuses handlers that do not fit the jobs. It reads no getter and asks no Proxy: a host may
 * load its handlers when they are read. A namespace (`import * as handlers`) may have more than handlers.
 * @throws ArgumentError that names the job or the handler
 */
export function expectHandlers(
  jobs: readonly Job[],
  taken: readonly Job[],
  handlers: object,
): void {
  if (types.isProxy(handlers)) return
  const names = jobs.map(({ name }) => name)
  const extra = types.isModuleNamespaceObject(handlers)
    ? undefined
    : Object.keys(handlers).find((name) => !names.includes(name))
  if (extra !== undefined) {
    const meant = findNearest(extra, names)
    const remedy = meant === null ? 'add the job to jobs, or take it out' : `did you mean ${meant}?`
    const named = `handlers.${storableText(extra, 120)}`
    throw new ArgumentError(named, `is of no job in jobs; ${remedy}`)
  }
  expectHandlersOf(taken, handlers)
}

/** A handler for each of these jobs. */
export function expectHandlersOf(jobs: readonly Job[], handlers: object): void {
  if (types.isProxy(handlers)) return
  for (const job of jobs) {
    const found = findProperty(handlers, job.name)
    if (found === undefined)
      throw new ArgumentError(
        `handlers.${job.name}`,
        'is missing; add the handler, or take the job out of jobs',
      )
    if (found.get === undefined && typeof found.value !== 'function')
      throw new ArgumentError(
        `handlers.${job.name}`,
        `must be a function, not ${tell(found.value)}`,
      )
  }
}

/** A job may have the name of what every object has, such as `toString`: that is no handler. */
function findProperty(handlers: object, name: string): PropertyDescriptor | undefined {
  let of: object | null = handlers
  while (of !== null && of !== Object.prototype) {
    const found = Object.getOwnPropertyDescriptor(of, name)
    if (found !== undefined) return found
    of = Object.getPrototypeOf(of) as object | null
  }
  return undefined
}
