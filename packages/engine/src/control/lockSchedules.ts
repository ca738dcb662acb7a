import { tell } from '../arguments/argument.ts'
import { JobError } from '../job/jobError.ts'
import { labelPayload } from '../job/labelWork.ts'
import { keyOfPayload } from '../job/limits.ts'
import type { Logger } from '../job/logger.ts'
import type { Connection } from '../store/database.ts'
import { decideKeyed, readPayload, type DecidedJob } from '../tick/decideKeyed.ts'
import {
  INSTANTS,
  lockRowsSql,
  toInstant,
  type KeyedDefinition,
  type KeyedRow,
} from '../tick/keyedRow.ts'
import { DAY_MS } from '../arguments/schedules.ts'
import type { OnCommit } from './controlJobs.ts'

export interface Caller {
  log: Pick<Logger, 'warn' | 'error'>
  onWork: OnCommit
}

export async function lockKeys(
  tx: Connection,
  { name, retry }: DecidedJob,
  keys: readonly string[],
): Promise<KeyedRow[]> {
  const pauseS = Math.ceil((retry?.maxDelayMs ?? 300_000) / 1_000)
  const { rows } = await tx.query<KeyedRow>(LOCK_KEYS_SQL, [name, pauseS, keys])
  const read = rows.map((row) => {
    const instants = INSTANTS.map((column) => [column, row[column] && toInstant(row[column])])
    return { ...row, ...Object.fromEntries(instants) } as KeyedRow
  })
  // Many that share a calendar are then due next at one instant, which is found once.
  const now = new Date(Math.max(...read.map((row) => row.now.getTime())))
  return read.map((row) => ({ ...row, now }))
}

/** By now the transaction may be old, and what became due since it began is due. */
const LOCK_KEYS_SQL = lockRowsSql(
  `schedule."key" = any($3::text[]) order by schedule."key" for update`,
  'clock_timestamp()',
)

/** What is due of these rows is decided by what they are, before they are changed. */
export async function decideFirst(
  tx: Connection,
  job: DecidedJob,
  rows: readonly KeyedRow[],
  { log, onWork }: Caller,
): Promise<Map<string, KeyedRow>> {
  if (rows.length === 0) return new Map()
  const isLatest = async () => false
  const how = { job, workerId: null, isLatest, log }
  const { rows: decided, transactionId } = await decideKeyed(tx, rows, how)
  if (transactionId !== null) onWork(job.name, transactionId)
  return new Map(decided.map((row) => [row.key, row]))
}

export function changedError(name: string, { key, version }: KeyedRow, expected: number): JobError {
  const is = version === 0 ? 'there is none' : `it has version ${version}`
  return new JobError(
    'schedule_changed',
    `The schedule ${tell(key)} of ${name} was to have version ${expected}, and ${is}: read it again`,
    { retryable: false, details: { key, version } },
  )
}

/** Payloads stay where they are: that it is another is all that is told. */
export function tellDefinition(one: KeyedDefinition): string {
  const { cron, timeZone, missed, overlap, jitterMs, catchUpMs, startsAt, endsAt } = one
  return [
    `${cron} in ${timeZone}`,
    ...(startsAt === null ? [] : [`from ${startsAt.toISOString()}`]),
    ...(endsAt === null ? [] : [`to ${endsAt.toISOString()}`]),
    ...(missed === 'once' ? [] : [`missed ${missed}`]),
    ...(overlap === 'skip' ? [] : [`overlap ${overlap}`]),
    ...(jitterMs === 0 ? [] : [`jitter ${jitterMs} ms`]),
    ...(catchUpMs === DAY_MS ? [] : [`catch-up ${catchUpMs} ms`]),
  ].join(', ')
}

/** What the work of a schedule carries. */
export function workOf(job: DecidedJob, row: KeyedRow, log: Caller['log']) {
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

/** Of all schedules that were deleted the highest version. It waits for nobody, and no roll-back lowers it. */
export const LAST_GONE = `pg_sequence_last_value('roundsman."JobKeyedVersion"'::regclass)`
