import { tell } from '../values/argument.ts'
import { JobError } from '../job/jobError.ts'
import { labelPayload } from '../job/labelWork.ts'
import { keyOfPayload } from '../job/limits.ts'
import type { Logger } from '../job/logger.ts'
import type { Connection } from '../database/database.ts'
import { decideRows, readPayload, type DecidedJob } from '../tick/decideRows.ts'
import { storedColumns, withInstants, type StoredSchedule } from '../tick/storedSchedule.ts'
import type { OnCommit } from './controlJobs.ts'

export interface Caller {
  log: Pick<Logger, 'warn' | 'error'>
  onWork: OnCommit
}

/** Uses clock_timestamp(): the transaction may be old, and ticks may have become due since it began. */
const LOCK_KEYS_SQL = `
  select ${storedColumns('clock_timestamp()')} from "JobSchedule" schedule
  where schedule."name" = $1::text and schedule."key" = any($2::text[]) order by schedule."key" for update`

export async function lockKeys(
  tx: Connection,
  name: string,
  keys: readonly string[],
): Promise<StoredSchedule[]> {
  const { rows } = await tx.query<StoredSchedule>(LOCK_KEYS_SQL, [name, keys])
  const read = rows.map(withInstants)
  // With one `now`, schedules that share a calendar have the same next instant, which is computed once.
  const now = new Date(Math.max(...read.map((row) => row.now.getTime())))
  return read.map((row) => ({ ...row, now }))
}

/** Decides the due ticks of these rows by their current definition, before the rows are changed. */
export async function decideFirst(
  tx: Connection,
  job: DecidedJob,
  rows: readonly StoredSchedule[],
  { log, onWork }: Caller,
): Promise<Map<string, StoredSchedule>> {
  if (rows.length === 0) return new Map()
  const isLatest = async () => false
  const how = { jobOf: () => job, workerId: null, isLatest, log }
  const { rows: decided, transactionId } = await decideRows(tx, rows, how)
  if (transactionId !== null) onWork(job.name, transactionId)
  return new Map(decided.map((row) => [row.key, row]))
}

export function changedError(
  name: string,
  { key, version }: StoredSchedule,
  expected: number,
): JobError {
  const is = version === 0 ? 'there is none' : `it has version ${version}`
  return new JobError(
    'schedule_changed',
    `The schedule ${tell(key)} of ${name} was to have version ${expected}, and ${is}: read it again`,
    { retryable: false, details: { key, version } },
  )
}

/** The work that a schedule enqueues. */
export function workOf(job: DecidedJob, row: StoredSchedule, log: Caller['log']) {
  const payload = readPayload(row)
  return { payload, label: labelOf(job, payload, log), workKey: keyOfPayload(job, payload) }
}

function labelOf(
  { name, label, show, payload: schema }: DecidedJob,
  payload: unknown,
  log: Caller['log'],
) {
  if (schema === undefined) return {}
  const job = { name, payload: schema, ...(label && { label }), ...(show && { show }) }
  return labelPayload(job, payload, log)
}

/** The highest version of all deleted schedules. Reading it takes no lock, and a roll-back does not lower it. */
export const LAST_GONE = `pg_sequence_last_value('roundsman."JobKeyedVersion"'::regclass)`
