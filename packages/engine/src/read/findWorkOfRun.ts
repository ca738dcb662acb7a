import { FIND_WORK_OF_RUN_SQL } from '../store/queueSql.ts'
import type { Reader } from './reader.ts'

/** What the queue still has of the work that a run was an attempt at. */
export interface WorkOfRun {
  /** Whether the same can be run again without giving the payload anew. */
  holdsPayload: boolean
  /** Given up, and to be redriven or discarded. */
  isDeadLetter: boolean
  /** When it may be tried again, as ISO 8601 in UTC; null of work that does not wait. */
  nextAt: string | null
}

/** Without the payload, which is nobody's to see. */
export async function findWorkOfRun(
  reader: Reader,
  { name, queueJobId }: { name: string; queueJobId: string | null },
): Promise<WorkOfRun> {
  const [work] =
    queueJobId === null
      ? []
      : await reader.rows<Omit<WorkOfRun, 'holdsPayload'>>({
          text: FIND_WORK_OF_RUN_SQL,
          values: [name, queueJobId],
        })
  return { holdsPayload: work !== undefined, isDeadLetter: false, nextAt: null, ...work }
}
