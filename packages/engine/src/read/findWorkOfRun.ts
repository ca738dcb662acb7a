import { checkId, checkParts, checkText, nullable } from '../job/argument.ts'
import { FIND_WORK_OF_RUN_SQL } from '../store/queueSql.ts'
import type { Reader } from './reader.ts'

/** What the queue still has of a run's work. */
export interface WorkOfRun {
  /** Whether the queue still has the payload, so that the work can run again. */
  holdsPayload: boolean
  /** Whether it is a dead letter, to be redriven or discarded. */
  isDeadLetter: boolean
  /** When it may be retried, as ISO 8601 in UTC; null when it does not wait. */
  nextAt: string | null
}

const RUN = { name: checkText, workId: nullable(checkId) }

/** Finds a run's work. It never returns the payload. */
export async function findWorkOfRun(
  reader: Reader,
  run: { name: string; workId: string | null },
): Promise<WorkOfRun> {
  const { name, workId } = checkParts('run', run, RUN)
  const [work] =
    workId === null
      ? []
      : await reader.rows<Omit<WorkOfRun, 'holdsPayload'>>({
          text: FIND_WORK_OF_RUN_SQL,
          values: [name, workId],
        })
  return { holdsPayload: work !== undefined, isDeadLetter: false, nextAt: null, ...work }
}
