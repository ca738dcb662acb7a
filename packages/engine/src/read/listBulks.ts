import { checkBulkQuery, checkIdOf } from '../arguments/queries.ts'
import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

export const BULK_KINDS = [
  'cancelWork',
  'postponeWork',
  'prioritiseWork',
  'redrive',
  'discard',
  'cancel',
] as const

/** `cancelWork`, `postponeWork`, `prioritiseWork` (waiting work), `redrive`, `discard` (dead letters), `cancel` (runs). */
export type BulkKind = (typeof BULK_KINDS)[number]

export const PASSED_REASONS = [
  'gone',
  'replaced',
  'locked',
  'unchanged',
  'alreadyQueued',
  'unknown',
  'endedWorkers',
] as const

/**
 * Why pieces were passed over.
 *   gone           It waited, ran or was a dead letter no more: a worker or somebody else was faster.
 *   replaced       Newer work has replaced it since.
 *   locked         Somebody else held it at that moment.
 *   unchanged      It was so already, or due later anyway.
 *   alreadyQueued  Other work has its unique key.
 *   unknown        Its job is none of those that are known here.
 *   endedWorkers   Two or more workers have died while they ran it: whoever wants it all the same retries it alone.
 */
export type PassedReason = (typeof PASSED_REASONS)[number]

/** What somebody wanted done to many at once, how far it is, and what came of it. Instants are ISO 8601 in UTC. */
export interface BulkAct {
  id: string
  kind: BulkKind
  /** The filter by which they were chosen; empty for all, or where they were chosen one by one. */
  which: Record<string, unknown>
  isByIds: boolean
  /** The jobs of what matched. */
  names: string[]
  /** Until when waiting work was postponed, or (`priority`) which priority it got; else null. */
  startAfter: string | null
  priority: number | null
  actor: string
  reason: string
  startedAt: string
  /** How many matched when it was asked for. */
  matched: number
  /** Whether more matched than an act takes, a million: it leaves the others as they are. */
  isCut: boolean
  done: number
  /** How many it has passed over, by the reason. */
  passed: Partial<Record<PassedReason, number>>
  /** How many it has not come to yet, or never will if it was stopped. */
  left: number
  /** Why it does not go on at the moment; it is tried again. */
  problem: string | null
  endedAt: string | null
  /** Who stopped it before it was done. */
  stoppedBy: string | null
}

/** Of a row of JobBulk as `bulk`. */
export const BULK_COLUMNS = `
  bulk."id"::text as "id", bulk."kind", bulk."request" -> 'which' as "which", coalesce((bulk."request" -> 'isByIds')::bool, false) as "isByIds",
  bulk."names", bulk."request" ->> 'startAfter' as "startAfter", (bulk."request" ->> 'priority')::int as "priority",
  ${boundedText('bulk."actor"')} as "actor", ${boundedText('bulk."reason"')} as "reason", bulk."createdAt" as "startedAt",
  bulk."matched", bulk."isCut", bulk."done", bulk."passed",
  bulk."matched" - bulk."done" - (select coalesce(sum(value::int), 0) from jsonb_each_text(bulk."passed"))::int as "left",
  bulk."problem", bulk."endedAt", bulk."stoppedBy"`

export interface BulkQuery {
  /** 1 to 10,000. */
  limit: number
  isOpen?: boolean | undefined
}

/** Lists acts on many, the latest first: all, or with `isOpen` those that go on. */
export async function listBulks(reader: JobsReader, query: BulkQuery): Promise<BulkAct[]> {
  const { limit, isOpen = false } = checkBulkQuery(reader, query)
  return await reader.rows<BulkAct>({
    text: `
      select ${BULK_COLUMNS} from "JobBulk" bulk where ${isOpen ? 'bulk."endedAt" is null' : 'true'}
      order by bulk."createdAt" desc, bulk."id" desc limit $1::int`,
    values: [limit],
  })
}

/** Finds an act on many by its id; null when there is none, or not any more. */
export async function getBulk(reader: JobsReader, id: string): Promise<BulkAct | null> {
  const bulkId = checkIdOf(reader, 'id', id)
  const [found] = await reader.rows<BulkAct>({
    text: `select ${BULK_COLUMNS} from "JobBulk" bulk where bulk."id" = $1::uuid`,
    values: [bulkId],
  })
  return found ?? null
}
