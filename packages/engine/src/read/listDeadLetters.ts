import { FIND_DEAD_LETTER_SQL, LIST_DEAD_LETTERS_SQL } from '../store/deadLetterSql.ts'
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
