import { cronProblem } from '@roundsman/engine'

export interface NewJobRequest {
  name: string
  /** Null when the job runs only when it is enqueued. */
  cron: string | null
}

/** Names that the new job must not have. */
interface TakenNames {
  /** The jobs' names. */
  names: readonly string[]
  /** Other names in the modules that the job is written into. */
  identifiers: readonly string[]
}

const MAX_LENGTH = 60

const RESERVED = new Set(
  'await break case catch class const continue debugger default delete do else enum export extends false finally for function if implements import in instanceof interface let new null package private protected public return static super switch this throw true try typeof var void while with yield'.split(
    ' ',
  ),
)

/** Endings that say what kind of thing it is, which everybody knows, but not what it does. */
const EMPTY_WORDS = /(Job|Task|Worker|Handler|Cron|Schedule|Runner)$/

/** Why the job can't be made, with the remedy, or null when it can. */
export function checkRequest(
  { name, cron }: NewJobRequest,
  { names, identifiers }: TakenNames,
): string | null {
  const example = 'name it by what it does, such as sendReminders'
  if (RESERVED.has(name)) return `"${name}" is a reserved word of JavaScript; ${example}`
  if (!/^[a-z][a-z0-9]*([A-Z][a-z0-9]*)+$/.test(name)) {
    return `"${name}" is not a camelCase verb phrase of at least two words; ${example}`
  }
  if (name.length > MAX_LENGTH) {
    return `"${name}" has ${name.length} characters; take at most ${MAX_LENGTH}`
  }
  const empty = EMPTY_WORDS.exec(name)?.[0]
  if (empty !== undefined) return `"${name}" ends in ${empty}, which says nothing; ${example}`
  // A look-up of a handler by name would find Object.prototype's toString and its like.
  if (name in globalThis || name in Object.prototype) {
    return `"${name}" is a name of JavaScript's own; ${example}`
  }
  const taken = names.find((other) => other.toLowerCase() === name.toLowerCase())
  if (taken !== undefined) return `there is a job "${taken}" already; take another name`
  if (identifiers.includes(name)) {
    return `"${name}" means something else where jobs are registered; take another name`
  }
  const problem = cron === null ? null : cronProblem(cron)
  return problem === null ? null : `--schedule: ${problem}; give one such as "0 4 * * *"`
}
