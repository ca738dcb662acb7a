import type { EnqueueOptions } from '../job/enqueue.ts'
import {
  ArgumentError,
  asItIs,
  checkDate,
  checkParts,
  oneOf,
  tell,
  wholeNumber,
} from '../job/argument.ts'
import { readableLine } from '../job/storableText.ts'

/**
 * Checks and copies the options. It refuses what the database would refuse only in the middle of the caller's transaction,
 * and values of other types, whose JSON may have no end. The copy holds nothing foreign.
 */
export function checkEnqueueOptions(options: unknown): EnqueueOptions {
  if (options === undefined) return {}
  const { priority, startAfter, uniqueKey, onConflict, maxWaitMs, expiresAt, enqueuedBy } =
    checkParts('options', options, OPTIONS)
  const checked: EnqueueOptions = {}
  if (priority !== undefined) {
    checked.priority = checkPriority(priority)
  }
  if (startAfter !== undefined) checked.startAfter = checkDate('startAfter', startAfter)
  if (expiresAt !== undefined) {
    checked.expiresAt = checkDate('expiresAt', expiresAt)
    if (checked.startAfter !== undefined && checked.startAfter >= checked.expiresAt)
      throw new ArgumentError(
        'expiresAt',
        'must be later than startAfter: the work would never start',
      )
  }
  if (uniqueKey !== undefined) {
    checked.uniqueKey = checkUniqueKey('uniqueKey', uniqueKey)
  }
  if (onConflict !== undefined) {
    checked.onConflict = checkConflict('onConflict', onConflict)
    if (uniqueKey === undefined)
      throw new ArgumentError('onConflict', 'needs a uniqueKey: without one, work meets no other')
  }
  if (maxWaitMs !== undefined) {
    if (onConflict !== 'replace')
      throw new ArgumentError(
        'maxWaitMs',
        "needs onConflict: 'replace': other work is never put off",
      )
    checked.maxWaitMs = checkMaxWait('maxWaitMs', maxWaitMs)
  }
  if (enqueuedBy !== undefined) {
    // Cut, and not refused: a request's id may be its sender's.
    if (typeof enqueuedBy !== 'string')
      throw new ArgumentError('enqueuedBy', `must be a text, not ${tell(enqueuedBy)}`)
    checked.enqueuedBy = readableLine(enqueuedBy, MAX_ENQUEUED_BY_LENGTH)
  }
  return checked
}

export const MAX_ENQUEUED_BY_LENGTH = 200

const OPTIONS = {
  priority: asItIs,
  startAfter: asItIs,
  uniqueKey: asItIs,
  onConflict: asItIs,
  maxWaitMs: asItIs,
  expiresAt: asItIs,
  enqueuedBy: asItIs,
}
const checkConflict = oneOf(['keep', 'replace'])
/** Ten years. */
const checkMaxWait = wholeNumber(1, 10 * 365 * 86_400_000)

function checkUniqueKey(argument: string, key: unknown): string {
  if (typeof key === 'string' && /^[^\0\p{Surrogate}]{1,255}$/su.test(key)) return key
  throw new ArgumentError(
    argument,
    `must have 1 to 255 characters that PostgreSQL can store, not ${tell(key)}`,
  )
}

/** @throws TypeError for a priority that the column can't hold */
export function checkPriority(priority: unknown): number {
  // An Int32Array holds exactly the numbers that the column takes.
  if (typeof priority === 'number' && new Int32Array([priority])[0] === priority) return priority
  throw new ArgumentError('priority', `must be a whole number of 32 bits, not ${tell(priority)}`)
}
