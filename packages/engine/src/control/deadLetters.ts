import type { Job } from '../job/defineJob.ts'
import { asItIs, checkId, checkParts, checkText, listOf, wholeNumber } from '../job/argument.ts'
import type { Connection } from '../store/database.ts'
import {
  DISCARD_DEAD_LETTER_SQL,
  DISCARD_DEAD_LETTERS_SQL,
  REDRIVE_DEAD_LETTERS_SQL,
} from '../store/deadLetterSql.ts'
import type { Request } from './controlJobs.ts'
import { recordActions, storableActor, type Actor } from './recordActions.ts'

export interface RedriveOutcome {
  /** How many went back into the queue. */
  redriven: number
  /**
   * How many stay dead letters because other work of the job with their unique key waits or runs. Where `'all'` takes several
   * calls, a further one tells again of those of the calls before: do not add them up.
   */
  alreadyQueued: number
}

const JOB = { name: checkText, retry: asItIs }
const RETRY = { limit: wholeNumber(0, 2 ** 31 - 1) }
const checkIds = listOf(checkId)

/** Gives dead letters of a job back to the queue with new attempts, and records who did it and why. */
export async function redriveWork(
  tx: Connection,
  job: Job,
  which: readonly string[] | 'all',
  by: Request,
): Promise<RedriveOutcome> {
  const { name, retry } = checkParts('job', job, JOB, 'job.')
  const { limit } = checkParts('job.retry', retry, RETRY, 'job.retry.')
  const ids = which === 'all' ? null : checkIds('which', which)
  const { actor, reason } = storableActor(by)
  const { rows } = await tx.query<{ workId: string | null; alreadyQueued: number }>(
    REDRIVE_DEAD_LETTERS_SQL,
    [name, ids, limit, actor, reason],
  )
  const targets = rows.flatMap(({ workId }) => (workId === null ? [] : [{ name, workId }]))
  await recordActions(tx, 'redrive', targets, { actor, reason })
  // Every row carries the same count, also the only one where nothing was redriven.
  return { redriven: targets.length, alreadyQueued: rows[0]?.alreadyQueued ?? 0 }
}

/** Removes a dead letter for good, and records who did it. */
export async function discardDeadLetter(
  tx: Connection,
  workId: string,
  request: Actor,
): Promise<'discarded' | 'notFound'> {
  const id = checkId('workId', workId)
  const by = storableActor(request)
  const { rows } = await tx.query<{ name: string }>(DISCARD_DEAD_LETTER_SQL, [id])
  const [discarded] = rows
  if (!discarded) return 'notFound'
  await recordActions(tx, 'discard', [{ name: discarded.name, workId: id }], by)
  return 'discarded'
}

const LETTER = { name: checkText, workId: checkId }
const checkLetters = listOf((argument, letter) =>
  checkParts(argument, letter, LETTER, `${argument}.`),
)

/** Discards those that still are dead letters, and returns how many. */
export async function discardDeadLetters(
  tx: Connection,
  letters: readonly { name: string; workId: string }[],
  request: Actor,
): Promise<number> {
  const wanted = checkLetters('letters', letters)
  const by = storableActor(request)
  const { rows } = await tx.query<{ name: string; workId: string }>(DISCARD_DEAD_LETTERS_SQL, [
    wanted.map(({ name }) => name),
    wanted.map(({ workId }) => workId),
  ])
  if (rows.length > 0) await recordActions(tx, 'discard', rows, by)
  return rows.length
}
