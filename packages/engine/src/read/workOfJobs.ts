import { GREATEST_RANK, LEAST_RANK } from '../queue/place.ts'
import { LATER, READY, SUSPECT } from '../queue/waitingSql.ts'

/**
 * The names in an index that begins with the name: one index access for each name, for any number of its rows. `from` and
 * `where` refer to the table as `work`.
 */
const namesIn = (table: string, where: string) => `
  select name from (
    with recursive found(name) as (
      (select work."name" from ${table} work where ${where} order by work."name" limit 1)
      union all
      select (
        select work."name" from ${table} work where ${where} and work."name" > found.name order by work."name" limit 1
      ) from found where found.name is not null
    )
    select name from found where name is not null
  ) found`

/** The names of jobs with waiting work. */
export const NAMES_OF_WORK = [READY, SUSPECT, LATER]
  .map((part) => namesIn('"JobWork"', part))
  .join(' union ')

/** The names of jobs with keyed schedules. */
export const NAMES_OF_SCHEDULES = namesIn('"JobSchedule"', `work."key" <> ''`)

export const NAMES_OF_LETTERS = namesIn('"JobDeadLetter"', 'true')

export const GREATEST_PLACE = '9223372036854775807'

/**
 * For counts of many names: for a range with unknown ends, PostgreSQL expects few rows, and uses an index. Otherwise it may
 * read the whole table for each name without work.
 */
const within = (column: string, least: string | number, greatest: string | number) =>
  `work."${column}" >= (select ${least}) and work."${column}" <= (select ${greatest})`

/** The parts of the due and the delayed work. */
export const DUE_PARTS = [
  `${READY} and ${within('rank', LEAST_RANK, GREATEST_RANK)}`,
  `${SUSPECT} and ${within('place', '0::bigint', GREATEST_PLACE)}`,
  `${LATER} and ${within('dueAt', `'-infinity'::timestamptz`, 'now()')}`,
]
export const DELAYED = `${LATER} and work."dueAt" > (select now()) and work."dueAt" <= (select 'infinity'::timestamptz)`
