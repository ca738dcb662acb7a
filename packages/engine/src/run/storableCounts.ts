import { JobError, type Counts } from '../index.ts'
import { storableBigint, storableText } from '../job/storableText.ts'

/** Of all batches of a run. */
const MAX_NAMES = 100
const MAX_NAME_LENGTH = 100
/** What stands beside the counts in a run's details. */
const RESERVED = ['batches', 'error', 'guard', '__proto__']

/**
 * What a batch has counted, as numbers that can be added up and stored. Where it returned nothing, it counted
 * nothing. A bigint will do, as Prisma's raw `count(*)` is one, where it is exact as a number.
 * @param names of what the run's batches have counted before
 * @throws JobError `counts_invalid`, which names the count and what is wrong with it
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
