import { checkAnswerRequest } from '../arguments/actions.ts'
import type { Connection } from '../database/database.ts'
import type { Job } from '../job/defineJob.ts'
import { namesOfStep } from '../job/step.ts'
import { ANSWER_DOUBT_SQL } from '../queue/stepSql.ts'
import { recordActions } from '../queue/recordActions.ts'
import type { ActionRequest, OnCommit } from './controlJobs.ts'

/** A step whose effect may have happened. */
export interface DoubtfulStep {
  workId: string
  step: string
  /** Default: the step has no item. */
  item?: string
  /** Its job, so that a renamed step is found by its new name, too. */
  job?: Pick<Job, 'steps'> | undefined
}

export interface DoubtAnswer extends ActionRequest {
  /** Whether the effect has happened. If it has not, the step is called again. */
  happened: boolean
  /** Its result as JSON, if the handler needs it. Default null. */
  result?: unknown
}

/**
 * Records a person's answer about an effect in doubt, and wakes its work. `notInDoubt`: the step is not in doubt, or a run of
 * the work is under way.
 */
export async function answerDoubt(
  tx: Connection,
  which: DoubtfulStep,
  request: DoubtAnswer,
  onWork: OnCommit,
): Promise<'answered' | 'notInDoubt'> {
  const { workId, step, item, job, happened, result, by } = checkAnswerRequest(which, request)
  const { rows } = await tx.query<{ name: string; transactionId: string }>(ANSWER_DOUBT_SQL, [
    workId,
    namesOfStep(job, step),
    item,
    happened,
    result,
    by.actor,
    by.reason ?? null,
  ])
  const [answered] = rows
  if (answered === undefined) return 'notInDoubt'
  const { name, transactionId } = answered
  const change = `${step}${item && ` ${item}`}: it ${happened ? 'did' : 'did not'} happen`
  await recordActions(tx, 'answerDoubt', [{ name, workId, change }], by)
  onWork(name, transactionId)
  return 'answered'
}
