import type { Shown } from '../job/labelWork.ts'
import {
  CHOOSE_DEAD_LETTERS_SQL,
  COUNT_DEAD_LETTERS_SQL,
  DEAD_LETTER_CAUSES_SQL,
  FIND_DEAD_LETTER_SQL,
  LIST_CODES_SQL,
  LIST_DEAD_LETTERS_SQL,
} from '../store/deadLetterSql.ts'
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
  /** The last run of it, as long as that is kept. */
  runId: string | null
}

export interface DeadLetterFilter {
  name?: string | undefined
  /** Its error's. */
  errorCode?: string | undefined
}

export interface DeadLetterQuery extends DeadLetterFilter {
  limit: number
  /** Those that failed before this one. */
  after?: PagePosition | undefined
}

/** So many are counted at most; where there are more, nobody goes through them one by one. */
export const MAX_COUNTED_LETTERS = 100_000
/** Far more than anybody reads. */
const MAX_CODES = 50

/** The latest first. */
export async function listDeadLetters(
  reader: Reader,
  query: DeadLetterQuery,
): Promise<{ deadLetters: DeadLetter[]; next: PagePosition | null }> {
  const { limit } = query
  const rows = await reader.rows<DeadLetter & { position: string }>({
    text: LIST_DEAD_LETTERS_SQL,
    values: toValues({ ...query, limit: limit + 1 }),
  })
  const page = rows.slice(0, limit)
  const last = rows.length > limit ? page.at(-1) : undefined
  return {
    deadLetters: page.map(({ position, ...letter }) => {
      void position
      return letter
    }),
    next: last ? { at: last.position, id: last.queueJobId } : null,
  }
}

/** Dead letters with the same code, of one job or of all. */
export interface DeadLetterCode {
  code: string
  count: number
  /** When the first and the last of them failed; ISO 8601 in UTC. */
  firstAt: string
  lastAt: string
  /** What the last of them says. */
  message: string | null
}

/** What they died of, the most frequent first: of the last hundred thousand, and no more than fifty. */
export async function listDeadLetterCodes(
  reader: Reader,
  filter: DeadLetterFilter = {},
): Promise<DeadLetterCode[]> {
  return await reader.rows<DeadLetterCode>({
    text: LIST_CODES_SQL,
    values: [...toValues({ ...filter, limit: MAX_COUNTED_LETTERS }), MAX_CODES],
  })
}

export interface ChosenLetter extends PagePosition {
  name: string
}

/** The next ones by position, of all or of those with an id of `ids`. */
export async function chooseDeadLetters(
  reader: Reader,
  query: DeadLetterQuery,
  ids: readonly string[] | null,
): Promise<ChosenLetter[]> {
  const rows = await reader.rows<{ queueJobId: string; name: string; position: string }>({
    text: CHOOSE_DEAD_LETTERS_SQL,
    values: [...toValues(query), ids],
  })
  return rows.map(({ queueJobId, name, position }) => ({ id: queueJobId, name, at: position }))
}

/** Up to MAX_COUNTED_LETTERS. */
export async function countDeadLetters(
  reader: Reader,
  query: Omit<DeadLetterQuery, 'limit'>,
): Promise<number> {
  const [counted] = await reader.rows<{ count: number }>({
    text: COUNT_DEAD_LETTERS_SQL,
    values: toValues({ ...query, limit: MAX_COUNTED_LETTERS }),
  })
  return counted?.count ?? 0
}

function toValues({ name, errorCode, after, limit }: DeadLetterQuery): unknown[] {
  return [name ?? null, errorCode ?? null, after?.at ?? null, after?.id ?? null, limit]
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
