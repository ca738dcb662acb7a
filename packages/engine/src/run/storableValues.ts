import { JobError } from '../job/jobError.ts'
import type { Counts, Details } from '../job/handler.ts'
import { storable } from '../values/storable.ts'
import { storableBigint, storableText } from '../values/storableText.ts'
import type { Progress } from './progress.ts'

/** Different counts over all batches of a run. */
const MAX_NAMES = 100
const MAX_NAME_LENGTH = 100
/** Names that the engine itself uses beside the counts in a run's details, and one that would set a prototype. */
const RESERVED = ['batches', 'error', 'guard', '__proto__']

/**
 * Turns what a batch returned into numbers that can be added up and stored; nothing counts as no counts. It takes a bigint,
 * as Prisma's raw `count(*)` is one, if a number can hold it exactly.
 * @param names the counts of the run's earlier batches
 * @throws JobError `counts_invalid`, which names the count and the problem
 */
export function storableCounts(foreign: unknown, names: ReadonlySet<string>): Counts {
  if (foreign === undefined || foreign === null) return {}
  try {
    if (typeof foreign !== 'object' || Array.isArray(foreign)) {
      throw invalid(`A batch returned ${typeof foreign}, not an object of counts`)
    }
    const counts: Counts = {}
    const added = new Set<string>()
    for (const name of Object.keys(foreign)) {
      counts[checkName(name)] = toCount(name, (foreign as Record<string, unknown>)[name])
      if (!names.has(name)) added.add(name)
      if (names.size + added.size > MAX_NAMES) {
        throw invalid(`The batches of a run counted more than ${MAX_NAMES} different things`)
      }
    }
    return counts
  } catch (error) {
    if (error instanceof JobError) throw error
    throw invalid('What a batch returned cannot be read', error)
  }
}

function checkName(name: string): string {
  const isFine = name !== '' && name.length <= MAX_NAME_LENGTH && storableText(name) === name
  if (isFine && !RESERVED.includes(name)) return name
  const why = RESERVED.includes(name)
    ? 'the engine itself uses that name'
    : `a name has 1 to ${MAX_NAME_LENGTH} characters that PostgreSQL can hold`
  throw invalid(`A batch counted ${JSON.stringify(storableText(name, MAX_NAME_LENGTH))}: ${why}`)
}

function toCount(name: string, value: unknown): number {
  const count = typeof value === 'bigint' ? storableBigint(value) : value
  const isFine = typeof count === 'number' && Math.abs(count) <= Number.MAX_SAFE_INTEGER
  if (isFine) return count
  const what = typeof count === 'number' ? String(count) : `a ${typeof value}`
  throw invalid(`A batch counted ${what} as ${JSON.stringify(name)}, not a number of safe size`)
}

function invalid(message: string, cause?: unknown): JobError {
  return new JobError('counts_invalid', message, { retryable: false, cause })
}

/** The most bytes of JSON that a handler may return. */
export const MAX_DETAILS_BYTES = 65_536

/**
 * Turns what a handler returned, or an error carries, into details; null when it is too large. A value that is no object
 * becomes `result`; null and undefined become empty details.
 */
export function storableDetails(foreign: unknown): Details | null {
  if (foreign === undefined || foreign === null) return {}
  const copy = storable(foreign, MAX_DETAILS_BYTES)
  if (copy.kind === 'tooLarge') return null
  const { value } = copy
  if (value === undefined || value === null) return {}
  return typeof value === 'object' && !Array.isArray(value) ? value : { result: value }
}

/** Turns a progress report into numbers that can be stored; null, and the report is dropped, when `done` is none. */
export function storableProgress(done: unknown, total: unknown): Progress | null {
  const known = toAmount(done)
  return known === null ? null : { done: known, total: toAmount(total) }
}

function toAmount(foreign: unknown): number | null {
  const amount = typeof foreign === 'bigint' ? Number(foreign) : foreign
  if (typeof amount !== 'number' || Number.isNaN(amount) || amount === Infinity) return null
  return Math.min(Math.max(amount, 0), Number.MAX_SAFE_INTEGER)
}
