import { checkLimit, checkParts, checkPosition, checkText, optional } from '../job/argument.ts'
import {
  LIST_LABELLED_WORK_SQL,
  LIST_WAITING_WORK_SQL,
  SUM_LABELLED_WORK_SQL,
  SUM_WAITING_WORK_SQL,
} from '../store/waitingSql.ts'
import type { PagePosition, Reader } from './reader.ts'

/** Work that no worker has taken yet, or that is to be retried. Its payload stays in the database. */
export interface WaitingWork {
  /** The id of the work, which each of its runs carries. */
  workId: string
  name: string
  label: string | null
  /** No worker takes it before. Instants are ISO 8601 in UTC. */
  startAfter: string
  /** Whether `startAfter` has come. */
  isDue: boolean
  enqueuedAt: string
  /** How many attempts there were. */
  attempts: number
  /** Higher starts sooner. */
  priority: number
  hasUniqueKey: boolean
  /** No attempt starts after it; null: it never expires. */
  expiresAt: string | null
}

export interface WaitingWorkQuery {
  limit: number
  name?: string | undefined
  label?: string | undefined
  /** Only work that is due after this one. */
  after?: PagePosition | undefined
}

const FILTER = { name: optional(checkText), label: optional(checkText) }
const QUERY = { ...FILTER, limit: checkLimit, after: optional(checkPosition) }

/** Lists waiting work, what is due first at the top. */
export async function listWaitingWork(
  reader: Reader,
  query: WaitingWorkQuery,
): Promise<{ work: WaitingWork[]; next: PagePosition | null }> {
  const { limit, name, label, after } = checkParts('query', query, QUERY)
  const rows = await reader.rows<WaitingWork & { position: string }>({
    text: label === undefined ? LIST_WAITING_WORK_SQL : LIST_LABELLED_WORK_SQL,
    values: [
      name ?? null,
      after?.at ?? null,
      after?.id ?? null,
      limit + 1,
      ...(label === undefined ? [] : [label]),
    ],
  })
  const page = rows.slice(0, limit)
  const last = rows.length > limit ? page.at(-1) : undefined
  return {
    work: page.map(({ position: _position, ...work }) => work),
    next: last ? { at: last.position, id: last.workId } : null,
  }
}

/** Counts waiting work. Exact up to 100,000, which also stands for more. */
export async function countWaitingWork(
  reader: Reader,
  filter: Pick<WaitingWorkQuery, 'name' | 'label'>,
): Promise<number> {
  return (await sumWaitingWork(reader, filter)).count
}

/** Counts waiting work likewise, and names the jobs that it is of, also those that have left the catalogue. */
export async function sumWaitingWork(
  reader: Reader,
  filter: Pick<WaitingWorkQuery, 'name' | 'label'>,
): Promise<{ count: number; names: string[] }> {
  const { name, label } = checkParts('filter', filter, FILTER)
  const [found] = await reader.rows<{ count: number; names: string[] }>({
    text: label === undefined ? SUM_WAITING_WORK_SQL : SUM_LABELLED_WORK_SQL,
    values: [name ?? null, ...(label === undefined ? [] : [label])],
  })
  return found ?? { count: 0, names: [] }
}
