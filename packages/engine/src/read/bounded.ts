/*
 * Columns as expressions that bound what is read: what earlier versions and others wrote into a table may be of any
 * size and shape. Each takes an SQL expression, such as `run."reason"`.
 */

/** Longer than any text that passed one of our doors. */
const MAX_TEXT_LENGTH = 1_000

export function boundedText(sql: string): string {
  return `left(${sql}, ${MAX_TEXT_LENGTH})`
}

/** Null where it is larger. What is stored may be compressed, and few bytes may be a number of many digits. */
export function boundedJson(sql: string, maxBytes: number): string {
  return `case when pg_column_size(${sql}) <= ${maxBytes} and octet_length((${sql})::text) <= ${maxBytes} then ${sql} end`
}

/** Null where there is anything but a number of which JavaScript knows each whole one. */
export function jsonNumber(sql: string): string {
  return `case when jsonb_typeof(${sql}) = 'number' then
       case when abs((${sql})::numeric) <= ${Number.MAX_SAFE_INTEGER} then (${sql})::float8 end
     end`
}
