import type { Job } from '../job/defineJob.ts'
import { checkDate, checkId, checkJobName, checkText, listOf } from '../job/argument.ts'
import { FIND_ENQUEUED_AT_SQL, FIND_WORK_BY_KEY_SQL, FIND_WORK_SQL } from '../store/queueSql.ts'
import type { Reader } from './reader.ts'

/** The state of a piece of work. */
export type WorkState =
  /** Not started, or to be retried; not before `startAfter`, ISO 8601 in UTC. */
  | { kind: 'waiting'; startAfter: string }
  | { kind: 'running' }
  | { kind: 'completed' }
  /** A dead letter; or cancelled before it started, or expired, which are known for a week. */
  | { kind: 'failed'; errorCode: string }

/** Finds a piece of work; null when it is unknown. Completed work is known as long as its run is kept. */
export async function findWork(
  reader: Reader,
  job: Pick<Job, 'name'>,
  workId: string,
): Promise<WorkState | null> {
  const id = checkId('workId', workId)
  return (await findManyWork(reader, job, [id])).get(id) ?? null
}

const checkIds = listOf(checkId)

/** Finds many pieces with one statement. Unknown ones are missing in the answer, whose ids are in lower case. */
export async function findManyWork(
  reader: Reader,
  job: Pick<Job, 'name'>,
  workIds: readonly string[],
): Promise<Map<string, WorkState>> {
  const name = checkJobName('job', job)
  const ids = checkIds('workIds', workIds)
  if (ids.length === 0) return new Map()
  const rows = await reader.rows<QueueRow>({
    text: FIND_WORK_SQL,
    values: [name, ids],
  })
  return new Map(rows.map((row) => [row.id, toWorkState(row)]))
}

/**
 * Finds the work that holds a unique key, or else the last that was given up with it since an instant. Null when there is
 * neither: the work was completed, discarded, or never enqueued.
 */
export async function findWorkByKey(
  reader: Reader,
  job: Pick<Job, 'name'>,
  uniqueKey: string,
  failedSince: Date,
): Promise<WorkState | null> {
  const [row] = await reader.rows<QueueRow>({
    text: FIND_WORK_BY_KEY_SQL,
    values: [
      checkJobName('job', job),
      checkText('uniqueKey', uniqueKey),
      checkDate('failedSince', failedSince).toISOString(),
    ],
  })
  return row === undefined ? null : toWorkState(row)
}

interface QueueRow {
  id: string
  state: string
  startAfter: string
  errorCode: string | null
}

function toWorkState({ state, startAfter, errorCode }: QueueRow): WorkState {
  switch (state) {
    case 'created':
    case 'retry':
      return { kind: 'waiting', startAfter }
    case 'active':
      return { kind: 'running' }
    case 'completed':
      return { kind: 'completed' }
    default:
      return { kind: 'failed', errorCode: errorCode ?? 'expired' }
  }
}

/**
 * When a piece of work was enqueued, as ISO 8601 in UTC. For completed work it is the time in the work's id, in
 * milliseconds by the clock of whoever enqueued it; null when the engine did not make that id.
 */
export async function findEnqueuedAt(
  reader: Reader,
  name: string,
  workId: string,
): Promise<string | null> {
  const id = checkId('workId', workId)
  const [found] = await reader.rows<{ enqueuedAt: string }>({
    text: FIND_ENQUEUED_AT_SQL,
    values: [checkText('name', name), id],
  })
  return found?.enqueuedAt ?? readTime(id)
}

/** RFC 9562: version 7 begins with 48 bits of milliseconds. */
function readTime(id: string): string | null {
  const digits = id.replaceAll('-', '')
  return digits[12] === '7'
    ? new Date(Number.parseInt(digits.slice(0, 12), 16)).toISOString()
    : null
}
