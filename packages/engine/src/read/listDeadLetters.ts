import {
  DEAD_LETTER_CAUSES_SQL,
  FIND_DEAD_LETTER_SQL,
  LIST_DEAD_LETTERS_SQL,
} from '../store/deadLetterSql.ts'
import type { Shown } from '../job/labelWork.ts'
import type { PagePosition, Reader } from './reader.ts'

/** Work that was given up: it is kept with its error until somebody redrives or discards it. */
export interface DeadLetter {
  /** Its runs carry it. */
  queueJobId: string
  name: string
  /** What it is about, as its job says it, and what that shows of its payload; null when it says nothing. */
  label: string | null
  shown: Shown | null
  /** How many there were. */
  attempts: number
  /** Instants are ISO 8601 in UTC. */
  enqueuedAt: string
  failedAt: string
  error: { code: string; message: string }
}

export interface DeadLetterQuery {
  limit: number
  name?: string | undefined
  /** Those that failed before this one. */
  after?: PagePosition | undefined
}

/** The latest first. */
export async function listDeadLetters(
  reader: Reader,
  { limit, name: job, after }: DeadLetterQuery,
): Promise<{ deadLetters: DeadLetter[]; next: PagePosition | null }> {
  const rows = await reader.rows<DeadLetter & { position: string }>({
    text: LIST_DEAD_LETTERS_SQL,
    values: [job ?? null, after?.at ?? null, after?.id ?? null, limit + 1],
  })
  const page = rows.slice(0, limit)
  const last = rows.length > limit ? page.at(-1) : undefined
  return {
    deadLetters: page.map(toDeadLetter),
    next: last ? { at: last.position, id: last.queueJobId } : null,
  }
}

function toDeadLetter(letter: DeadLetter): DeadLetter {
  const { queueJobId, name, label, shown, attempts, enqueuedAt, failedAt, error } = letter
  return { queueJobId, name, label, shown, attempts, enqueuedAt, failedAt, error }
}

/** How many dead letters of a job were given up for the same reason. */
export interface DeadLetterCause {
  name: string
  code: string
  count: number
  /** Instants are ISO 8601 in UTC. */
  firstAt: string
  lastAt: string
  /** What the last of them said. */
  message: string
  /** Whether there are more than the 10,000 that are looked at, which are the latest of all jobs. */
  isCut: boolean
}

/** Why work of these jobs was given up, the most frequent cause first; at most 100. */
export async function countDeadLettersByCause(
  reader: Reader,
  names: readonly string[],
): Promise<DeadLetterCause[]> {
  return await reader.rows<DeadLetterCause>({ text: DEAD_LETTER_CAUSES_SQL, values: [names] })
}

/** Of which job a dead letter is; null when there is none with this id. */
export async function findDeadLetterName(
  reader: Reader,
  queueJobId: string,
): Promise<string | null> {
  const [found] = await reader.rows<{ name: string }>({
    text: FIND_DEAD_LETTER_SQL,
    values: [queueJobId],
  })
  return found?.name ?? null
}
