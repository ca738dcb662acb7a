import { checkId } from '../values/argument.ts'
import {
  checkLetterFilter,
  checkLetterQuery,
  checkLettersToChoose,
  checkLettersToCount,
  checkRunFilter,
  MAX_COUNTED_LETTERS,
} from '../arguments/queries.ts'
import { readShown, type Shown } from '../job/labelWork.ts'
import { aboutValues, type PieceFilter } from '../queue/pieceFilter.ts'
import {
  CHOOSE_DEAD_LETTERS_SQL,
  COUNT_DEAD_LETTERS_SQL,
  countLettersOfRunsSql,
  FIND_DEAD_LETTER_SQL,
  LIST_CODES_SQL,
  LIST_DEAD_LETTERS_SQL,
} from '../queue/deadLetterSql.ts'
import { runConditions, type ListJobRunsOptions } from './jobRuns.ts'
import type { PagePosition, JobsReader } from './reader.ts'

/** Work that was given up. It stays with its error until a person or program retries or discards it. */
export interface DeadLetter {
  /** The id of the work, which each of its runs carries. */
  workId: string
  name: string
  label: string | null
  /** The key of the work; empty if it has none, null if its job has no keys. */
  key: string | null
  /** The parts of its payload that the job shows. Null if there are none. */
  shown: Shown | null
  /** The number of its attempts. */
  attempts: number
  /** The number of workers that have died while they ran it. */
  losses: number
  /** Instants are ISO 8601 in UTC. */
  enqueuedAt: string
  failedAt: string
  error: { code: string; message: string }
  /** Its last run, if that is still kept. */
  runId: string | null
}

export interface DeadLetterFilter extends PieceFilter {
  /** Only dead letters whose error has this code. */
  errorCode?: string | undefined
}

export interface DeadLetterQuery extends DeadLetterFilter {
  /** 1 to 10,000. */
  limit: number
  /** The last dead letter of the previous page: the list continues after it. */
  after?: PagePosition | undefined
}

/** Maximum of codes that a call returns. */
const MAX_CODES = 50

/** Lists dead letters, the latest first. */
export async function listDeadLetters(
  reader: JobsReader,
  query: DeadLetterQuery,
): Promise<{ deadLetters: DeadLetter[]; next: PagePosition | null }> {
  const asked = checkLetterQuery(reader, query)
  const { limit } = asked
  const rows = await reader.rows<DeadLetter & { position: string }>({
    text: LIST_DEAD_LETTERS_SQL,
    values: toValues({ ...asked, limit: limit + 1 }),
  })
  const page = rows.slice(0, limit)
  const last = rows.length > limit ? page.at(-1) : undefined
  return {
    deadLetters: page.map(({ position: _position, ...letter }) => ({
      ...letter,
      shown: readShown(letter.shown),
    })),
    next: last ? { at: last.position, id: last.workId } : null,
  }
}

/** Dead letters with the same code, of one job or of all. */
export interface DeadLetterCode {
  code: string
  count: number
  /** The instants of the first and the last failure; ISO 8601 in UTC. */
  firstAt: string
  lastAt: string
  /** Whether there may be more of each code, older ones, and more codes. */
  isCut: boolean
}

/** Counts dead letters by code, the most frequent first: of the last 100,000, and at most 50 codes. */
export async function listDeadLetterCodes(
  reader: JobsReader,
  filter: DeadLetterFilter = {},
): Promise<DeadLetterCode[]> {
  return await reader.rows<DeadLetterCode>({
    text: LIST_CODES_SQL,
    values: [...toValues({ ...checkLetterFilter(filter), limit: MAX_COUNTED_LETTERS }), MAX_CODES],
  })
}

export interface ChosenLetter extends PagePosition {
  name: string
}

/** Returns the next dead letters by position, of all or of `ids`. */
export async function chooseDeadLetters(
  reader: JobsReader,
  query: DeadLetterQuery,
  ids: readonly string[] | null,
): Promise<ChosenLetter[]> {
  const { ids: chosen, ...asked } = checkLettersToChoose(query, ids)
  return await reader.rows<ChosenLetter>({
    text: CHOOSE_DEAD_LETTERS_SQL,
    values: [...toValues(asked), chosen],
  })
}

/** Counts the dead letters with a matching run, of any attempt, among the latest MAX_LETTERS_LOOKED_AT. */
export async function countLettersOfRuns(
  reader: JobsReader,
  asked: Omit<ListJobRunsOptions, 'limit' | 'after'>,
): Promise<{ count: number; isCut: boolean }> {
  const filter = checkRunFilter(asked)
  const values: unknown[] = [filter.name ?? null]
  const conditions = await runConditions(reader, filter, (value) => `$${values.push(value)}`)
  const [counted] = await reader.rows<{ count: number; isCut: boolean }>({
    text: countLettersOfRunsSql(conditions),
    values,
  })
  return counted ?? { count: 0, isCut: false }
}

/** Counts dead letters, up to MAX_COUNTED_LETTERS. */
export async function countDeadLetters(
  reader: JobsReader,
  query: Omit<DeadLetterQuery, 'limit'>,
): Promise<number> {
  const [counted] = await reader.rows<{ count: number }>({
    text: COUNT_DEAD_LETTERS_SQL,
    values: toValues({ ...checkLettersToCount(query), limit: MAX_COUNTED_LETTERS }),
  })
  return counted?.count ?? 0
}

function toValues({ name, errorCode, after, limit, ...about }: DeadLetterQuery): unknown[] {
  const position = [after?.at ?? null, after?.id ?? null, limit]
  return [name ?? null, errorCode ?? null, ...position, ...aboutValues(about)]
}

/** Finds the job of a dead letter. Null if there is none with this id. */
export async function findDeadLetterName(
  reader: JobsReader,
  workId: string,
): Promise<string | null> {
  const [found] = await reader.rows<{ name: string }>({
    text: FIND_DEAD_LETTER_SQL,
    values: [checkId('workId', workId)],
  })
  return found?.name ?? null
}
