import type { Connection } from '../store/database.ts'
import type { Job } from '../index.ts'
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
   * How many stay dead letters because other work of the job with their unique key waits or runs.
   */
  alreadyQueued: number
}

export async function redriveWork(
  tx: Connection,
  job: Job,
  which: readonly string[] | 'all',
  by: Request,
): Promise<RedriveOutcome> {
  const { actor, reason } = storableActor(by)
  const { rows } = await tx.query<{ queueJobId: string | null; alreadyQueued: number }>(
    REDRIVE_DEAD_LETTERS_SQL,
    [job.name, which === 'all' ? null : which, job.retry.limit, actor, reason],
  )
  const targets = rows.flatMap(({ queueJobId }) =>
    queueJobId === null ? [] : [{ name: job.name, queueJobId }],
  )
  await recordActions(tx, 'redrive', targets, { actor, reason })
  return { redriven: targets.length, alreadyQueued: rows[0]?.alreadyQueued ?? 0 }
}

export async function discardDeadLetter(
  tx: Connection,
  queueJobId: string,
  by: Actor,
): Promise<'discarded' | 'notFound'> {
  const { rows } = await tx.query<{ name: string }>(DISCARD_DEAD_LETTER_SQL, [queueJobId])
  const [discarded] = rows
  if (!discarded) return 'notFound'
  await recordActions(tx, 'discard', [{ name: discarded.name, queueJobId }], by)
  return 'discarded'
}

/** Discards those that still are dead letters, and returns how many. */
export async function discardDeadLetters(
  tx: Connection,
  letters: readonly { name: string; queueJobId: string }[],
  by: Actor,
): Promise<number> {
  const { rows } = await tx.query<{ name: string; queueJobId: string }>(DISCARD_DEAD_LETTERS_SQL, [
    letters.map(({ name }) => name),
    letters.map(({ queueJobId }) => queueJobId),
  ])
  if (rows.length > 0) await recordActions(tx, 'discard', rows, by)
  return rows.length
}
