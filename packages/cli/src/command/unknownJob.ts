import { nearest } from '@roundsman/engine'
import { UsageError } from './runCommand.ts'

/** For a name that no job has: suggests the one that was probably meant or, when none is near, prints `known`. */
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
