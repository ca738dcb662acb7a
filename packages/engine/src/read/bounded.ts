/*
 * Columns as expressions that limit what is read: earlier versions and other programs may have written values of any size and
 * shape. Each takes an SQL expression, such as `run."reason"`.
 */

/** Longer than any text that the engine itself writes. */
const MAX_TEXT_LENGTH = 1_000

/** An expression for the beginning of a text, for columns that other programs may have written. */
export function boundedText(sql: string): string {
  return `left(${sql}, ${MAX_TEXT_LENGTH})`
}

/**
 * The error of a failed run and its place: the class of the error, unless it has its own code, and the first frame, such as
 * `TypeError at send (src/send.ts:3:4)`. Empty if neither is known. Every user may see both.
 */
export function thrownOf(details: string): string {
  const frame = `split_part(${details} #>> '{error,stack}', chr(10), 1)`
  return boundedText(`concat_ws(' ', ${details} #>> '{error,name}', nullif(${frame}, ''))`)
}

/** Null if it is larger. It checks both sizes: stored JSON may be compressed, and few bytes may be a very long number. */
export function boundedJson(sql: string, maxBytes: number): string {
  return `case when pg_column_size(${sql}) <= ${maxBytes} and octet_length((${sql})::text) <= ${maxBytes} then ${sql} end`
}

/** An instant within JSON, which readers do not convert: as ISO 8601 in UTC, of the years 1 to 9999. */
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
