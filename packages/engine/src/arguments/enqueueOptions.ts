import type { EnqueueOptions } from '../job/enqueue.ts'
import {
  ArgumentError,
  checkDate,
  checkOptions,
  checkString,
  oneOf,
  optional,
  renamed,
  tell,
  wholeNumber,
} from '../values/argument.ts'
import { readableLine } from '../values/storableText.ts'

/**
 * Checks and copies the options. It refuses values that the database would refuse in the middle of the caller's transaction,
 * and values of other types, whose JSON may be endless. The copy contains no foreign values.
 */
export function checkEnqueueOptions(options: unknown): CheckedOptions {
  if (options === undefined) return {}
  const checked = checkOptions('options', options, OPTIONS, { hints: HINTS })
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
  priority: optional(checkPriority),
  startAfter: optional(checkDate),
  uniqueKey: optional(checkUniqueKey),
  onConflict: optional(oneOf(['keep', 'replace'])),
  // Ten years.
  maxWaitMs: optional(wholeNumber(1, 10 * 365 * 86_400_000)),
  expiresAt: optional(checkDate),
  // Truncated instead of refused: a request's id may come from its sender.
  enqueuedBy: optional((argument, value) =>
    readableLine(checkString(argument, value), MAX_ENQUEUED_BY_LENGTH),
  ),
}

const HINTS = {
  delay: 'set startAfter, a Date',
  delayMs: 'set startAfter, a Date',
  runAt: 'did you mean startAfter?',
  at: 'did you mean startAfter?',
  key: 'did you mean uniqueKey? The key of a partition comes from the payload',
  jobKey: 'did you mean uniqueKey?',
  singletonKey: 'did you mean uniqueKey?',
  jobId: 'did you mean uniqueKey?',
  retry: 'the definition of the job has it: defineJob({ retry })',
  attempts: 'the definition of the job has it: defineJob({ retry })',
  timeoutMs: 'the definition of the job has it',
}

function checkUniqueKey(argument: string, key: unknown): string {
  if (typeof key === 'string' && /^[^\0\p{Surrogate}]{1,255}$/su.test(key)) return key
  throw new ArgumentError(
    argument,
    `must have 1 to 255 characters that PostgreSQL can store, not ${tell(key)}`,
  )
}

/** An Int32Array keeps exactly the numbers that the column can hold. */
export function checkPriority(argument: string, priority: unknown): number {
  // An Int32Array holds exactly the numbers that the column takes.
  if (typeof priority === 'number' && new Int32Array([priority])[0] === priority) return priority
  throw new ArgumentError(argument, `must be a whole number of 32 bits, not ${tell(priority)}`)
}

export function refusePriority(): ArgumentError {
  return new ArgumentError(
    'priority',
    'is for other jobs: the work of this one runs in the order in which it was enqueued (fifo)',
  )
}

/** Adds the item to an error about its options. */
export function nameItem(error: ArgumentError, item: string): ArgumentError {
  const { argument } = error
  return renamed(error, {
    as: argument === 'options' ? `${item}.options` : `${item}.options.${argument}`,
  })
}
