import { MAX_LABEL_LENGTH } from '../job/labelWork.ts'

/** The label in an envelope. Anybody may have written it, so it must neither fail a claim nor be longer than a label. */
export const labelOf = (envelope: string) => `left(${envelope} ->> 'label', ${MAX_LABEL_LENGTH})`

const MAX_SHOWN_BYTES = 16_384

export const shownOf = (envelope: string) => `
  case when jsonb_typeof(${envelope} -> 'shown') = 'object' and pg_column_size(${envelope} -> 'shown') <= ${MAX_SHOWN_BYTES}
    then ${envelope} -> 'shown' end`

const DAY_OF_YEAR =
  '(0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8])'
const LEAP_YEAR = '[1-9]\\d(0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00'
const TIME = '([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d[.]\\d{3}'
/** What `toISOString` makes of the years 1000 to 9999, and PostgreSQL can cast. */
const INSTANT = `^([1-9]\\d{3}-(${DAY_OF_YEAR})|(${LEAP_YEAR})-02-29)T${TIME}Z$`

/** An instant in an envelope. Any text that cannot be cast counts as absent: it would fail the statement, and with it the whole claim. */
export const instantOf = (envelope: string, key: 'scheduledFor' | 'expiresAt') =>
  `case when ${envelope} ->> '${key}' ~ '${INSTANT}' then (${envelope} ->> '${key}')::timestamptz end`
