/**
 * Writes the source of a handler that the author writes. Until then a run fails at once and says so, rather than look as
 * if there had been nothing to do.
 */
export function writeHandler(name: string): string {
  return `import type { ${name} as job } from '@roundsman/jobs'
import { JobError } from '@roundsman/engine'
import type { Handler } from './handler.ts'

export const ${name}: Handler<typeof job> = async () => {
  throw new JobError('not_written', '${name} is still to be written', { retryable: false })
}
`
}

/** Writes the source of a clean-up: its loop is finished, and the statement of its own is left to the author. */
export function writeCleanup(name: string): string {
  const type = `${name.charAt(0).toUpperCase()}${name.slice(1)}Dependencies`
  const ownPart = batchName(name)
  return `import type { ${name} as job } from '@roundsman/jobs'
import { JobError } from '@roundsman/engine'
import type { Handler, Transaction } from './handler.ts'

export interface ${type} {
  /**
   * Does at most so many pieces of what is due by then, in one statement if it can, and says how many they were. What
   * it has done is not due any more: work is delivered at least once, and a run that died is followed by another.
   */
  doSome(tx: Transaction, limit: number, now: Date): Promise<number>
}

/** A batch locks what it changes until it is committed: so many rows take some milliseconds. */
const BATCH_SIZE = 1_000

/** Goes on batch by batch until nothing is left that is due. */
export function ${name}({ doSome }: ${type}): Handler<typeof job> {
  return async ({ batch, now, signal }) => {
    for (;;) {
      signal.throwIfAborted()
      const { done } = await batch(async (tx) => ({ done: await doSome(tx, BATCH_SIZE, now()) }))
      if (done < BATCH_SIZE) return {}
    }
  }
}

/**
 * The part that is to be written. Until it is, a run fails at once and says so, rather than look as if there had been
 * nothing to do.
 */
export const ${ownPart}: ${type}['doSome'] = async () => {
  throw new JobError('not_written', '${ownPart} is still to be written', { retryable: false })
}
`
}

/** The name of the function that does one batch. */
export function batchName(name: string): string {
  return `${name}Batch`
}
