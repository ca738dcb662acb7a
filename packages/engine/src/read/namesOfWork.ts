import { LATER, READY, SUSPECT } from '../store/waitingSql.ts'

/**
 * The names in an index that begins with the name: one look into it for each name, however many rows have it. `from` and
 * `where` are of the table as `work`.
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

/** The names of jobs with work that waits. */
export const NAMES_OF_WORK = [READY, SUSPECT, LATER]
  .map((part) => namesIn('"JobWork"', part))
  .join(' union ')

export const NAMES_OF_LETTERS = namesIn('"JobDeadLetter"', 'true')
