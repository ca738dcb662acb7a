import type { ImportOptions } from '../tables/importPgBoss.ts'
import {
  ArgumentError,
  checkBoolean,
  checkOptions,
  checkText,
  checkTexts,
  copyParts,
  optional,
  tell,
  type Check,
} from '../values/argument.ts'
import { checkSchema } from './connection.ts'
import { MIGRATE } from './worker.ts'

const checkQueues: Check<Record<string, string>> = (argument, value) =>
  Object.fromEntries(
    Object.entries(copyParts(argument, value)).map(([queue, job]) => [
      queue,
      checkText(`${argument}.${queue}`, job),
    ]),
  )

const IMPORT = {
  ...MIGRATE,
  from: checkSchema,
  jobs: checkTexts,
  queues: optional(checkQueues),
  all: optional(checkBoolean),
  deadLetters: optional(checkBoolean),
  dryRun: optional(checkBoolean),
} satisfies Record<keyof ImportOptions, unknown>

export function checkImportOptions(options: unknown) {
  return checkOptions('options', options, IMPORT)
}

/** The error about a queue that pg-boss does not have. */
export function refuseQueue(name: string): ArgumentError {
  return new ArgumentError('queue', `must be one of pg-boss's, not ${tell(name)}`)
}
