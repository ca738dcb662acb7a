import { types } from 'node:util'
import type { Job } from '../job/defineJob.ts'
import { storableText } from '../values/storableText.ts'
import { ArgumentError, tell } from '../values/argument.ts'
import { findNearest } from '../values/nearest.ts'

/**
 * Checks the handlers of the jobs that a worker takes. It calls no getter and no Proxy, since a host may load its handlers on
 * first access. A namespace (`import * as handlers`) may have more than handlers.
 * @returns the names of handlers without a job, for a warning: a catalogue may depend on the environment
 * @throws ArgumentError that names the job or the handler
 */
export function expectHandlers(
  jobs: readonly Job[],
  taken: readonly Job[],
  handlers: object,
): string[] {
  if (types.isProxy(handlers)) return []
  const names = jobs.map(({ name }) => name)
  const extra = types.isModuleNamespaceObject(handlers)
    ? []
    : Object.keys(handlers).filter((name) => !names.includes(name))
  const missing = taken.filter(({ name }) => findProperty(handlers, name) === undefined)
  for (const name of extra) {
    const meant = findNearest(
      name,
      missing.map((job) => job.name),
    )
    if (meant !== null)
      throw new ArgumentError(
        `handlers.${storableText(name, 120)}`,
        `is of no job in jobs; did you mean ${meant}?`,
      )
  }
  expectHandlersOf(taken, handlers)
  return extra.map((name) => storableText(name, 120))
}

/** Requires a handler for each of these jobs. */
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

/** Finds an own property of the handlers. An inherited one, such as `toString`, is not a handler. */
function findProperty(handlers: object, name: string): PropertyDescriptor | undefined {
  let of: object | null = handlers
  while (of !== null && of !== Object.prototype) {
    const found = Object.getOwnPropertyDescriptor(of, name)
    if (found !== undefined) return found
    of = Object.getPrototypeOf(of) as object | null
  }
  return undefined
}
