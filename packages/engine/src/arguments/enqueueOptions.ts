import type { EnqueueOptions } from '../job/enqueue.ts'
import {
  ArgumentError,
  checkDate,
  checkParts,
  oneOf,
  optional,
  tell,
  wholeNumber,
} from './argument.ts'
import { readableLine } from '../job/storableText.ts'

/**
 * Checks and copies the options. It refuses what the database would refuse only in the middle of the caller's transaction,
 * and values of other types, whose JSON may have no end. The copy holds nothing foreign.
 */
export function checkEnqueueOptions(options: unknown): CheckedOptions {
  if (options === undefined) return {}
  const checked = checkParts('options', options, OPTIONS)
  const { startAfter, uniqueKey, onConflict, maxWaitMs, expiresAt } = checked
  if (startAfter !== undefined && expiresAt !== undefined && startAfter >= expiresAt)
    throw new ArgumentError(
      'expiresAt',
      'must be later than startAfter: the work would never start',
    )
  if (onConflict !== undefined && uniqueKey === undefined)
    throw new ArgumentError('onConflict', 'needs a uniqueKey: without one, work meets no other')
  if (maxWaitMs !== undefined && onConflict !== 'replace')
    throw new ArgumentError('maxWaitMs', "needs onConflict: 'replace': other work is never put off")
  return checked
}

type CheckedOptions = { [Name in keyof EnqueueOptions]?: EnqueueOptions[Name] | undefined }

export const MAX_ENQUEUED_BY_LENGTH = 200

const OPTIONS = {
  priority: optional((_argument, value) => checkPriority(value)),
  startAfter: optional(checkDate),
  uniqueKey: optional(checkUniqueKey),
  onConflict: optional(oneOf(['keep', 'replace'])),
  // Ten years.
  maxWaitMs: optional(wholeNumber(1, 10 * 365 * 86_400_000)),
  expiresAt: optional(checkDate),
  enqueuedBy: optional((argument, value) => {
    // Cut, and not refused: a request's id may be its sender's.
    if (typeof value === 'string') return readableLine(value, MAX_ENQUEUED_BY_LENGTH)
    throw new ArgumentError(argument, `must be a text, not ${tell(value)}`)
  }),
}

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
