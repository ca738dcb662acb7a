import { storableText } from '../values/storableText.ts'
import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'
import { NAMES_OF_LETTERS, NAMES_OF_SCHEDULES, NAMES_OF_WORK } from './workOfJobs.ts'

/** A key of a job: of its work or of one of its schedules. */
export interface KeyMatch {
  name: string
  key: string
}

/** Waiting work, or a dead letter. */
export interface WorkMatch {
  workId: string
  name: string
  label: string | null
  key: string | null
  isDeadLetter: boolean
}

export interface WorkMatches {
  /** All schedules whose key begins with the text, and those of the first 10,000 whose key contains it. */
  schedules: KeyMatch[]
  /** Keys of work that equal the text, and those of the first 10,000 that contain it. */
  keys: KeyMatch[]
  /**
   * Found by the beginning of the id or the whole key, among all; or by a part of label or key, among the latest 10,000 of
   * each.
   */
  work: WorkMatch[]
}

/** Matches of each kind. */
const MAX_MATCHES = 5
const MAX_SEARCHED = 10_000
const MIN_ID_DIGITS = 6

/** Searches schedules, keys, waiting work and dead letters, within the first rows ignoring case. It accepts any text. */
export async function searchWork(reader: JobsReader, text: string): Promise<WorkMatches> {
  const wanted = storableText(text).trim()
  if (wanted === '') return { schedules: [], keys: [], work: [] }
  const digits = wanted.toLowerCase().replaceAll('-', '')
  const isId = digits.length >= MIN_ID_DIGITS && /^[0-9a-f]{1,32}$/.test(digits)
  const ids = isId ? [digits.padEnd(32, '0'), digits.padEnd(32, 'f')] : [null, null]
  const [schedules, keys, work] = await Promise.all([
    reader.rows<KeyMatch>({ text: SCHEDULES_SQL, values: [wanted, `${wanted}\u{10FFFF}`] }),
    reader.rows<KeyMatch>({ text: KEYS_SQL, values: [wanted] }),
    reader.rows<WorkMatch>({ text: WORK_SQL, values: [wanted, ...ids] }),
  ])
  return { schedules, keys, work }
}

const contains = (column: string) => `strpos(lower(${column}), lower($1::text)) > 0`

/** Rows of each job whose key meets the condition, with an index on name and key. */
const ofEachJob = (names: string, table: string, condition: string) => `
  select of.* from (${names}) job(name) cross join lateral (
    select "name", "key" from "${table}" one where one."name" = job.name and ${condition} limit ${MAX_MATCHES}
  ) of limit ${MAX_MATCHES}`
/** The first rows whose key contains the text. */
const within = (table: string) => `
  select "name", "key" from (
    select "name", "key" from "${table}" where "key" <> '' order by "name", "key" limit ${MAX_SEARCHED}
  ) one where ${contains('"key"')} limit ${MAX_MATCHES}`
const MATCHES = `found order by "key", "name" limit ${MAX_MATCHES}`

/** The keys of schedules are in the order of their bytes: up to `$2`, they begin with `$1`. */
const SCHEDULES_SQL = `
  select "name", "key" from (
    (${ofEachJob(NAMES_OF_SCHEDULES, 'JobSchedule', `one."key" >= $1::text and one."key" <= $2::text`)})
    union (${within('JobSchedule')})
  ) ${MATCHES}`

const NAMES_OF_KEYED = `select substr("name", 5) from "JobLimit" where "name" like 'job:%' and "order" is not null`
const IS_KEY = `one."key" = $1::text`

/** Keys with a row, because of a setting or a service's refusal, and keys of waiting work. */
const KEYS_SQL = `
  select "name", ${boundedText('"key"')} as "key" from (
    (${ofEachJob(NAMES_OF_KEYED, 'JobKey', IS_KEY)}) union (${within('JobKey')})
    union (${ofEachJob(NAMES_OF_WORK, 'JobWork', IS_KEY)}) union (${within('JobWork')})
  ) ${MATCHES}`

const piecesIn = (table: string, names: string, isDeadLetter: boolean) => {
  const columns = `"id", "name", "label", "key", ${isDeadLetter} as "isDeadLetter"`
  return `
    (select ${columns} from "${table}" where "id" between $2::uuid and $3::uuid order by "id" desc limit ${MAX_MATCHES})
    union (
      select of.* from (${names}) job(name) cross join lateral (
        select ${columns} from "${table}" one where one."name" = job.name and one."key" = $1::text order by "id" desc limit ${MAX_MATCHES}
      ) of limit ${MAX_MATCHES}
    )
    union (
      select * from (select ${columns} from "${table}" order by "id" desc limit ${MAX_SEARCHED}) latest
      where ${contains('"label"')} or ${contains('"key"')} limit ${MAX_MATCHES}
    )`
}

const WORK_SQL = `
  select "id"::text as "workId", "name", ${boundedText('"label"')} as "label", ${boundedText('"key"')} as "key", "isDeadLetter"
  from (
    ${piecesIn('JobWork', NAMES_OF_WORK, false)} union ${piecesIn('JobDeadLetter', NAMES_OF_LETTERS, true)}
  ) found order by "isDeadLetter", "id" desc limit ${MAX_MATCHES}`
