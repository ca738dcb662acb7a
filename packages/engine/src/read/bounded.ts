/*
 * Columns as expressions that bound what is read: what earlier versions and others wrote into a table may be of any
 * size and shape. Each takes an SQL expression, such as `run."reason"`.
 */

/** Longer than any text that the engine itself writes. */
const MAX_TEXT_LENGTH = 1_000

/** An expression for the beginning of a text, for columns whose rows others may have written. */
export function boundedText(sql: string): string {
  return `left(${sql}, ${MAX_TEXT_LENGTH})`
}

/**
 * What a failed run has thrown, and where: the class of the error, unless it has a code of its own, and the first frame, such
 * as `TypeError at send (src/send.ts:3:4)`. Empty when neither is known. Everybody may see both.
 */
export function thrownOf(details: string): string {
  const frame = `split_part(${details} #>> '{error,stack}', chr(10), 1)`
  return boundedText(`concat_ws(' ', ${details} #>> '{error,name}', nullif(${frame}, ''))`)
}

/** Null where it is larger. It checks both sizes: stored JSON may be compressed, and few bytes may be a very long number. */
export function boundedJson(sql: string, maxBytes: number): string {
  return `case when pg_column_size(${sql}) <= ${maxBytes} and octet_length((${sql})::text) <= ${maxBytes} then ${sql} end`
}

/** An instant within JSON, where readers do not write it: as ISO 8601 in UTC, of the years 1 to 9999. */
export function jsonInstant(sql: string): string {
  const bounded = `least(greatest(${sql}, '0001-01-01Z'), '9999-12-31Z') at time zone 'UTC'`
  return `case when ${sql} is not null then to_char(${bounded}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') end`
}

/** Null unless it is a number that JavaScript holds exactly. */
export function jsonNumber(sql: string): string {
  return `case when jsonb_typeof(${sql}) = 'number' then
       case when abs((${sql})::numeric) <= ${Number.MAX_SAFE_INTEGER} then (${sql})::float8 end
     end`
}
