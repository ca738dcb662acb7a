import { nearest } from '@roundsman/engine'
import type { Product } from './product.ts'
import { UsageError } from './runCommand.ts'

/** For the name of an unknown job: suggests the most similar one or, if there is none, prints `known`. */
export function unknownJob(
  name: string,
  names: readonly string[],
  { option, known }: { option?: string; known: string },
): UsageError {
  const said = `${option === undefined ? 'There' : `${option}: there`} is no job "${name}"`
  const meant = nearest(name, names)
  if (meant === null) return new UsageError(`${said}. ${known}`)
  return new UsageError(`${said}: did you mean ${meant}?`, { isEnough: true })
}

/**
 * Called if nothing was found: a job that has left the catalogue still has runs, and may have work, so its name is no error
 * before.
 * @throws UsageError
 */
export function refuseUnknownJob(
  name: string | undefined,
  { jobs }: Pick<Product, 'jobs'>,
  option?: string,
): void {
  const names = jobs.map((job) => job.name)
  if (name === undefined || names.includes(name)) return
  const known = `These are known: ${names.join(', ')}`
  throw unknownJob(name, names, option === undefined ? { known } : { option, known })
}
